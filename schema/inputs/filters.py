"""Filters of samples and datasets, as clients write them.

Fields default to UNSET, not to null: a mutation distinguishes a missing criterion from one that is null. The values
are read as graphql-core coerces them (`sample_filter`), never as objects of these classes.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Optional, TypeVar

import strawberry
from strawberry import UNSET

from db.queries import filters
from schema.enums import DatasetType, LabelMatch, SampleState, SampleUsage, TimePreset, enum_name

T = TypeVar("T")


@strawberry.input(description="Samples by their confirmed labels.")
class LabelFilter:
    names: list[str] = strawberry.field(description="Exact names; a name that no label has matches no sample.")
    match: LabelMatch = strawberry.field(default=LabelMatch.ANY, description="How the names combine.")


@strawberry.input(description="Samples by when their image was made. What is given must all hold.")
class TimeFilter:
    preset: TimePreset | None = strawberry.field(default=UNSET, description="A stretch of days up to now.")
    from_: datetime | None = strawberry.field(name="from", default=UNSET, description="Not earlier than this moment.")
    to: datetime | None = strawberry.field(default=UNSET, description="Not later than this moment.")


@strawberry.input(description="Text. What is given must all hold.")
class TextFilter:
    contains: str | None = strawberry.field(
        default=UNSET, description="Has this in it, in upper or lower case; `%` and `_` mean themselves."
    )
    eq: str | None = strawberry.field(default=UNSET, description="Is exactly this.")


@strawberry.input(description="Samples by where they lie. What is given must all hold.")
class PathFilter:
    directory: str | None = strawberry.field(
        default=UNSET, description="Lies in this directory below the input path; empty for the top."
    )
    recursive: bool = strawberry.field(default=False, description="Also in the directories below it.")
    contains: str | None = strawberry.field(
        default=UNSET, description="The path has this in it, in upper or lower case; `%` and `_` mean themselves."
    )


@strawberry.input(
    description="Which samples. Everything that is given must hold; an empty filter means every sample. In a query, "
    "null and empty lists are no condition, except an empty `or`, which matches nothing."
)
class SampleFilter:
    state: SampleState | None = strawberry.field(default=UNSET, description="In this state.")
    labels: LabelFilter | None = strawberry.field(default=UNSET, description="With, or without, these labels.")
    created_at: TimeFilter | None = strawberry.field(default=UNSET, description="Made in this time.")
    file_name: TextFilter | None = strawberry.field(default=UNSET, description="By file name, extension included.")
    path: PathFilter | None = strawberry.field(default=UNSET, description="By place below the input path.")
    labeled_by: list[str] | None = strawberry.field(default=UNSET, description="Last labelled by one of these.")
    is_hard: bool | None = strawberry.field(default=UNSET, description="Marked, or not marked, as a hard example.")
    usage: SampleUsage | None = strawberry.field(default=UNSET, description="For this use.")
    is_damaged: bool | None = strawberry.field(
        default=UNSET, description="Whose file ends, or does not end, before its image does."
    )
    and_: list["SampleFilter"] | None = strawberry.field(name="and", default=UNSET, description="All of these hold.")
    or_: list["SampleFilter"] | None = strawberry.field(
        name="or", default=UNSET, description="At least one of these holds; an empty list holds for none."
    )
    not_: Optional["SampleFilter"] = strawberry.field(name="not", default=UNSET, description="This does not hold.")


@strawberry.input(one_of=True, description="Which samples an operation is about: exactly one of these.")
class SampleSelectionInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="These samples, at most 1,000; unknown ones are listed in `notFoundIds`."
    )
    filter: SampleFilter | None = strawberry.field(
        default=UNSET,
        description="All that match, however many: the filter that lists them. In a mutation it has at least one "
        "criterion that narrows the selection, unless `expectedCount` is given; null and empty lists in it are "
        "VALIDATION_FAILED, so that a missing value never selects more than was meant.",
    )
    all: bool | None = strawberry.field(
        default=UNSET, description="Every sample of the dataset. Only true is accepted."
    )


@strawberry.input(description="Which datasets. Everything that is given must hold.")
class DatasetFilter:
    type: DatasetType | None = strawberry.field(default=None, description="Of this type.")
    name: TextFilter | None = strawberry.field(default=None, description="By name.")


@strawberry.input(one_of=True, description="A dataset: exactly one of these.")
class DatasetByInput:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description="By its global id.")
    name: str | None = strawberry.field(default=UNSET, description="By its exact name.")


def sample_filter(value: Mapping[str, Any]) -> filters.SampleFilter:
    """The compiler's filter, from the coerced input object. Null and an empty list are no condition, except that
    `or: []` matches nothing."""

    def optional(name: str, make: Callable[[Any], T]) -> T | None:
        return None if value.get(name) is None else make(value[name])

    def by_labels(value: Mapping[str, Any]) -> filters.LabelFilter | None:
        return (
            None
            if value["names"] == []
            else filters.LabelFilter(value["names"], enum_name(value["match"] or LabelMatch.ANY))
        )

    def by_time(value: Mapping[str, Any]) -> filters.TimeFilter:
        return filters.TimeFilter(enum_name(value.get("preset")), value.get("from"), value.get("to"))

    return filters.SampleFilter(
        state=enum_name(value.get("state")),
        labels=optional("labels", by_labels),
        created_at=optional("createdAt", by_time),
        file_name=optional("fileName", lambda value: filters.TextFilter(**value)),
        path=optional("path", lambda value: filters.PathFilter(**{**value, "recursive": bool(value["recursive"])})),
        labeled_by=value.get("labeledBy") or None,
        is_hard=value.get("isHard"),
        usage=enum_name(value.get("usage")),
        is_damaged=value.get("isDamaged"),
        and_=optional("and", lambda values: [sample_filter(each) for each in values]),
        or_=optional("or", lambda values: [sample_filter(each) for each in values]),
        not_=optional("not", sample_filter),
    )
