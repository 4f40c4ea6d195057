"""The samples of a mutation, from the client's input to the terms of `db`."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import strawberry

from db.errors import Invalid
from db.labelling.samples.selection import Selection
from db.queries.filters import SampleFilter, has_criteria
from schema.inputs.filters import SampleSelection, sample_filter
from schema.mutations.resolver import Info, number

FILTER = "select.filter"


class SelectionInput(Protocol):
    """An input with a selection of samples of one dataset."""

    dataset_id: strawberry.ID
    select: SampleSelection


@dataclass(frozen=True, slots=True)
class SelectedSamples:
    """A selection in a dataset, and the ids as the client wrote them: an id of no sample is reported as it came."""

    dataset: int
    selection: Selection
    ids: tuple[tuple[strawberry.ID, int], ...] = ()

    def not_found(self, missing: Collection[int]) -> list[strawberry.ID]:
        return list(dict.fromkeys(text for text, number in self.ids if number in missing))


# An object of the class does not distinguish a null criterion from a missing one: the coerced value does.
SampleSelection.__strawberry_definition__.from_input = lambda _type, value, _context: value  # type: ignore[attr-defined]


def selected(info: Info, input: SelectionInput, expected_count: int | None) -> SelectedSamples:
    """Raises Invalid for a filter that may select more than the client meant."""
    dataset, limit = number(input.dataset_id, "Dataset"), info.context.limits.max_ids
    match cast(Mapping[str, Any], input.select):
        case {"ids": ids}:
            if len(ids) > limit:
                message = f"At most {limit} ids are taken in one call; for more, select by filter."
                raise Invalid(message, most=limit, given=len(ids))
            numbers = tuple((text, number(text, "Sample")) for text in ids)
            return SelectedSamples(dataset, Selection(ids=tuple(number for _, number in numbers)), numbers)
        case {"filter": value}:
            return SelectedSamples(dataset, Selection(filter=narrowing_filter(value, expected_count)))
        case {"all": True}:
            return SelectedSamples(dataset, Selection(filter=SampleFilter()))
    raise Invalid("`select.all` takes only true, for every sample; select by ids or filter instead.", path="select.all")


def narrowing_filter(value: Mapping[str, Any], expected_count: int | None) -> SampleFilter:
    path = next(paths_without_value(value, FILTER), None)
    if path is not None:
        message = f"`{path}` is null or an empty list. In a mutation, leave it out or give it a value."
        raise Invalid(message, path=path)
    filter_ = sample_filter(value)
    if expected_count is None and not has_criteria(filter_):
        message = "The filter has no criterion. To select every sample, use `select: {all: true}` or `expectedCount`."
        raise Invalid(message, path=FILTER)
    return filter_


def paths_without_value(value: object, path: str) -> Iterator[str]:
    """The paths of nulls and empty lists."""
    match value:
        case None | []:
            yield path
        case dict():
            for name, each in value.items():
                yield from paths_without_value(each, f"{path}.{name}")
        case list():
            for index, each in enumerate(value):
                yield from paths_without_value(each, f"{path}.{index}")
