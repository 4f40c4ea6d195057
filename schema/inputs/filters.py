"""Filters of lists, as clients write them.

Criteria of samples default to UNSET, not to null: a mutation distinguishes a missing criterion from one that is null.
The values are read as graphql-core coerces them (`sample_filter`), never as objects of these classes.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Optional, TypeVar

import strawberry
from strawberry import UNSET

from db.queries import filters, paths, suggestions
from schema.enums import (
    ChangeKind,
    DatasetType,
    ImageFormat,
    LabelMatch,
    SampleState,
    SampleUsage,
    TimePreset,
    enum_name,
)
from schema.inputs.models import ModelInput
from schema.job_enums import JobKind, JobStatus

T = TypeVar("T")


@strawberry.input(description="A filter of samples by their confirmed labels.")
class LabelFilter:
    names: list[str] | None = strawberry.field(
        default=UNSET,
        description="Exact label names; for the samples of a version, the names that the labels have in the version. A "
        "name that no label has matches no sample.",
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET,
        description="Global ids of labels of the working set, also for the samples of a version; combined with "
        "`names`. An unknown id matches no sample.",
    )
    match: LabelMatch = strawberry.field(default=LabelMatch.ANY, description="How the labels are combined.")


@strawberry.input(description="A period of time. All given conditions must match.")
class TimeFilter:
    preset: TimePreset | None = strawberry.field(default=UNSET, description="A period of days until now.")
    from_: datetime | None = strawberry.field(name="from", default=UNSET, description="Start of the period, inclusive.")
    to: datetime | None = strawberry.field(default=UNSET, description="End of the period, inclusive.")


@strawberry.input(description="A filter of a whole number. All given conditions must match.")
class IntFilter:
    eq: int | None = strawberry.field(default=UNSET, description="The number is exactly this.")
    min: int | None = strawberry.field(default=UNSET, description="The number is at least this.")
    max: int | None = strawberry.field(default=UNSET, description="The number is at most this.")


@strawberry.input(description="A filter of a text. All given conditions must match.")
class TextFilter:
    contains: str | None = strawberry.field(
        default=UNSET, description="The text contains this, ignoring case. `%` and `_` are ordinary characters."
    )
    eq: str | None = strawberry.field(default=UNSET, description="The text is exactly this.")


@strawberry.input(description="A filter of samples by their path. All given conditions must match.")
class PathFilter:
    directory: str | None = strawberry.field(
        default=UNSET, description="The image is in this directory below the input path. Empty: the top level."
    )
    recursive: bool = strawberry.field(default=False, description="Include the subdirectories of `directory`.")
    contains: str | None = strawberry.field(
        default=UNSET, description="The path contains this, ignoring case. `%` and `_` are ordinary characters."
    )
    in_: list[str] | None = strawberry.field(
        name="in", default=UNSET, description="The path is exactly one of these, at most 1,000."
    )
    starts_with: str | None = strawberry.field(default=UNSET, description="The path begins with exactly this.")


@strawberry.input(description="A filter of a number. All given conditions must match.")
class FloatFilter:
    min: float | None = strawberry.field(default=UNSET, description="The number is at least this.")
    max: float | None = strawberry.field(default=UNSET, description="The number is at most this.")


@strawberry.input(
    description="A filter of samples by annotations that are suggested and not confirmed. One suggestion must meet all "
    "given conditions; an empty filter matches every sample with a suggestion, whether it also has labels or not."
)
class SuggestionFilter:
    labels: list[str] | None = strawberry.field(
        default=UNSET,
        description="The suggestion is of a label with one of these names; for the samples of a version, the names "
        "that the labels have in the version.",
    )
    label_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET,
        description="The suggestion is of one of these labels, by global ids of the working set; combined with "
        "`labels`.",
    )
    models: list[ModelInput] | None = strawberry.field(
        default=UNSET, description="The suggestion is made by one of these models."
    )
    confidence: FloatFilter | None = strawberry.field(
        default=UNSET, description="The `confidence` of the suggestion matches. One without a confidence has 0."
    )
    disagrees_with_labels: bool | None = strawberry.field(
        default=UNSET,
        description="True: the sample has labels, and not the suggested one, so that the model and a person disagree. "
        "False: the sample has the suggested label, or no labels.",
    )


@strawberry.input(
    description="A filter of samples. All given conditions must match; an empty filter matches every sample. In a "
    "query, null and empty lists are no condition, except an empty `or`, which matches nothing."
)
class SampleFilter:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET,
        description="Samples with one of these global ids, at most 1,000. For the samples of a version, too, these are "
        "ids of the working set, including those of deleted samples.",
    )
    state: SampleState | None = strawberry.field(default=UNSET, description="Samples in this state.")
    labels: LabelFilter | None = strawberry.field(default=UNSET, description="Samples with, or without, these labels.")
    created_at: TimeFilter | None = strawberry.field(
        default=UNSET, description="Samples whose `createdAt` is in this period."
    )
    added_at: TimeFilter | None = strawberry.field(
        default=UNSET, description="Samples whose `addedAt` is in this period."
    )
    labeled_at: TimeFilter | None = strawberry.field(
        default=UNSET, description="Samples whose `labeledAt` is in this period. Samples without labels do not match."
    )
    file_name: TextFilter | None = strawberry.field(default=UNSET, description="Samples whose `fileName` matches.")
    path: PathFilter | None = strawberry.field(default=UNSET, description="Samples whose `path` matches.")
    labeled_by: list[str] | None = strawberry.field(
        default=UNSET, description="Samples whose `labeledBy` is one of these."
    )
    is_hard: bool | None = strawberry.field(
        default=UNSET, description="Samples that are, or are not, marked as hard examples."
    )
    usage: SampleUsage | None = strawberry.field(default=UNSET, description="Samples with this usage.")
    is_damaged: bool | None = strawberry.field(
        default=UNSET, description="Samples whose image file is, or is not, truncated."
    )
    is_source_available: bool | None = strawberry.field(
        default=UNSET, description="Samples whose image is, or is not, available in storage."
    )
    width: IntFilter | None = strawberry.field(default=UNSET, description="Samples whose `width` matches.")
    height: IntFilter | None = strawberry.field(default=UNSET, description="Samples whose `height` matches.")
    size: IntFilter | None = strawberry.field(default=UNSET, description="Samples whose `size` in bytes matches.")
    format: ImageFormat | None = strawberry.field(default=UNSET, description="Samples of this image format.")
    annotation_count: IntFilter | None = strawberry.field(
        default=UNSET, description="Samples whose number of annotations, including suggestions, matches."
    )
    changed_since: int | None = strawberry.field(
        default=UNSET,
        description="Samples that were added or changed after this revision of the dataset. Deleted ones are in "
        "`changes { deletedSampleIds }`.",
    )
    suggestions: SuggestionFilter | None = strawberry.field(
        default=UNSET, description="Samples with a suggestion that matches."
    )
    and_: list["SampleFilter"] | None = strawberry.field(
        name="and", default=UNSET, description="All of these filters must match."
    )
    or_: list["SampleFilter"] | None = strawberry.field(
        name="or", default=UNSET, description="At least one of these filters must match. An empty list matches nothing."
    )
    not_: Optional["SampleFilter"] = strawberry.field(
        name="not", default=UNSET, description="This filter must not match."
    )


@strawberry.input(one_of=True, description="A selection of samples. Exactly one field must be given.")
class SampleSelectionInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="These samples, at most 1,000. Ids that are not found are listed in `notFoundIds`."
    )
    paths: list[str] | None = strawberry.field(
        default=UNSET,
        description="The samples with these paths below the input path, at most 1,000, in either form of Unicode. "
        "Paths that are not found are listed in `notFoundPaths`.",
    )
    filter: SampleFilter | None = strawberry.field(
        default=UNSET,
        description="All samples that match this filter, without limit. A mutation requires at least one condition "
        "that narrows the selection, unless `expectedCount` is given, and refuses null and empty lists in the filter "
        "with VALIDATION_FAILED, so that a missing value never selects more than intended.",
    )
    all: bool | None = strawberry.field(default=UNSET, description="Every sample of the dataset. Must be true.")


@strawberry.input(description="A filter of datasets. All given conditions must match.")
class DatasetFilter:
    type: DatasetType | None = strawberry.field(default=None, description="Datasets of this type.")
    name: TextFilter | None = strawberry.field(default=None, description="Datasets whose `name` matches.")


@strawberry.input(
    description="A filter of jobs. All given conditions must match; null and empty lists are no condition."
)
class JobFilter:
    kinds: list[JobKind] | None = strawberry.field(default=None, description="Jobs of one of these kinds.")
    statuses: list[JobStatus] | None = strawberry.field(default=None, description="Jobs with one of these statuses.")
    requested_by: list[str] | None = strawberry.field(
        default=None, description="Jobs whose `requestedBy` is one of these, at most 1,000."
    )
    created_at: TimeFilter | None = strawberry.field(
        default=None, description="Jobs whose `createdAt` is in this period."
    )


@strawberry.input(
    description="A filter of changes. All given conditions must match; null and empty lists are no condition."
)
class ChangeFilter:
    kinds: list[ChangeKind] | None = strawberry.field(default=None, description="Changes of one of these kinds.")
    actors: list[str] | None = strawberry.field(
        default=None, description="Changes whose `actor` is one of these, at most 1,000."
    )
    created_at: TimeFilter | None = strawberry.field(
        default=None, description="Changes whose `createdAt` is in this period."
    )


@strawberry.input(one_of=True, description="A dataset by id or by name. Exactly one field must be given.")
class DatasetByInput:
    id: strawberry.ID | None = strawberry.field(default=UNSET, description="Global id of the dataset.")
    name: str | None = strawberry.field(default=UNSET, description="Exact name of the dataset.")


def sample_filter(value: Mapping[str, Any]) -> filters.SampleFilter:
    """The compiler's filter, from the coerced input object. Null and an empty list are no condition, except that
    `or: []` matches nothing."""

    def optional(name: str, make: Callable[[Any], T]) -> T | None:
        return None if value.get(name) is None else make(value[name])

    return filters.SampleFilter(
        ids=value.get("ids") or None,
        state=enum_name(value.get("state")),
        labels=optional("labels", _labels),
        created_at=optional("createdAt", _period),
        added_at=optional("addedAt", _period),
        labeled_at=optional("labeledAt", _period),
        file_name=optional("fileName", lambda value: paths.TextFilter(**value)),
        path=optional("path", _path),
        labeled_by=value.get("labeledBy") or None,
        is_hard=value.get("isHard"),
        usage=enum_name(value.get("usage")),
        is_damaged=value.get("isDamaged"),
        is_source_available=value.get("isSourceAvailable"),
        width=optional("width", _number),
        height=optional("height", _number),
        size_=optional("size", _number),
        format=enum_name(value.get("format")),
        annotation_count=optional("annotationCount", _number),
        changed_since=value.get("changedSince"),
        suggestions=optional("suggestions", _suggestions),
        and_=optional("and", lambda values: [sample_filter(each) for each in values]),
        or_=optional("or", lambda values: [sample_filter(each) for each in values]),
        not_=optional("not", sample_filter),
    )


def _labels(value: Mapping[str, Any]) -> filters.LabelFilter | None:
    names, ids = value.get("names") or None, value.get("ids") or None
    match = enum_name(value["match"] or LabelMatch.ANY)
    return None if names is None and ids is None else filters.LabelFilter(names, match, ids)


def _path(value: Mapping[str, Any]) -> paths.PathFilter:
    directory, is_recursive = value.get("directory"), bool(value["recursive"])
    contains, starts_with = value.get("contains"), value.get("startsWith")
    return paths.PathFilter(directory, is_recursive, contains, value.get("in") or None, starts_with)


def _period(value: Mapping[str, Any]) -> filters.TimeFilter:
    return filters.TimeFilter(enum_name(value.get("preset")), value.get("from"), value.get("to"))


def _number(value: Mapping[str, Any]) -> filters.IntFilter:
    return filters.IntFilter(**value)


def _suggestions(value: Mapping[str, Any]) -> suggestions.SuggestionFilter:
    models = [suggestions.ModelFilter(each["name"], each["modelVersion"]) for each in value.get("models") or ()]
    bounds = value.get("confidence")
    return suggestions.SuggestionFilter(
        labels=value.get("labels") or None,
        label_ids=value.get("labelIds") or None,
        models=models or None,
        confidence=None if bounds is None else suggestions.FloatFilter(**bounds),
        disagrees=value.get("disagreesWithLabels"),
    )
