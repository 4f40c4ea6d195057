"""Which samples a mutation is about, from the words of the client to those of `db`."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import strawberry

from db.errors import Invalid
from db.labelling.samples.selection import Selection
from db.queries.filters import SampleFilter, has_criteria
from schema.inputs.filters import SampleSelection, sample_filter
from schema.mutations.resolver import Info, number

FILTER = "select.filter"


@dataclass(frozen=True, slots=True)
class Selected:
    """A selection, and the ids as the client wrote them: what is no sample's id is told as it came."""

    selection: Selection
    written: tuple[tuple[strawberry.ID, int], ...] = ()

    def not_found(self, missing: Collection[int]) -> list[strawberry.ID]:
        return list(dict.fromkeys(text for text, number in self.written if number in missing))


def _as_coerced(_type: type, value: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    """An object of the class could not tell a criterion that is null from one that is left out."""
    return value


SampleSelection.__strawberry_definition__.from_input = _as_coerced  # type: ignore[attr-defined]


def selected(info: Info, select: SampleSelection, expected_count: int | None) -> Selected:
    """Raises Invalid for a filter that may select more than the client meant."""
    match cast(Mapping[str, Any], select):
        case {"ids": ids}:
            _bound(len(ids), info.context.limits.max_ids)
            written = tuple((text, number(text, "Sample")) for text in ids)
            return Selected(Selection(ids=tuple(number for _, number in written)), written)
        case {"filter": given}:
            return Selected(Selection(filter=_filter(given, expected_count)))
        case {"all": True}:
            return Selected(Selection(filter=SampleFilter()))
    raise Invalid("`select.all` takes only true, for every sample; select by ids or filter instead.", path="select.all")


def _bound(count: int, most: int) -> None:
    if count > most:
        raise Invalid(f"At most {most} ids are taken in one call; for more, select by filter.", most=most, given=count)


def _filter(given: Mapping[str, Any], expected_count: int | None) -> SampleFilter:
    path = next(_without_value(given, FILTER), None)
    if path is not None:
        message = f"`{path}` is null or an empty list. In a mutation, leave it out or give it a value."
        raise Invalid(message, path=path)
    wanted = sample_filter(given)
    if expected_count is None and not has_criteria(wanted):
        message = "The filter has no criterion. To select every sample, use `select: {all: true}` or `expectedCount`."
        raise Invalid(message, path=FILTER)
    return wanted


def _without_value(value: object, path: str) -> Iterator[str]:
    """The paths of nulls and empty lists."""
    match value:
        case None | []:
            yield path
        case dict():
            for name, each in value.items():
                yield from _without_value(each, f"{path}.{name}")
        case list():
            for place, each in enumerate(value):
                yield from _without_value(each, f"{path}.{place}")
