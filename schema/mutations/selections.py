"""Which samples a mutation is about, from the words of the client to those of `db`."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry

from db import filters
from db.errors import Invalid
from db.samples.chosen import Selection
from schema.filters import SampleFilter, SampleSelection, TimeFilter
from schema.mutations.unit import Info, number, word


@dataclass(frozen=True, slots=True)
class Selected:
    """A selection, and the ids as the client wrote them: what is no sample's id is told as it came."""

    selection: Selection
    written: tuple[tuple[strawberry.ID, int], ...] = ()

    def not_found(self, missing: Collection[int]) -> list[strawberry.ID]:
        return list(dict.fromkeys(text for text, number in self.written if number in missing))


def selected(info: Info, select: SampleSelection) -> Selected:
    if isinstance(select.ids, list):
        _bound(len(select.ids), info.context.bounds.ids)
        written = tuple((text, number(text, "Sample")) for text in select.ids)
        return Selected(Selection(ids=tuple(number for _, number in written)), written)
    return Selected(Selection(filter=plain(select.filter or SampleFilter())))


def _bound(count: int, most: int) -> None:
    if count > most:
        raise Invalid(f"At most {most} ids are taken in one call; for more, select by filter.", most=most, given=count)


def plain(given: SampleFilter) -> filters.SampleFilter:
    """The same filter in plain values."""
    return filters.SampleFilter(
        state=_made(given.state, word),
        labels=_made(given.labels, lambda each: filters.LabelFilter(each.names, word(each.match))),
        created_at=_made(given.created_at, _time),
        file_name=_made(given.file_name, lambda each: filters.TextFilter(each.contains, each.eq)),
        path=_made(given.path, lambda each: filters.PathFilter(each.directory, each.recursive, each.contains)),
        labeled_by=given.labeled_by,
        hard=given.hard,
        usage=_made(given.usage, word),
        and_=_made(given.and_, _all),
        or_=_made(given.or_, _all),
        not_=_made(given.not_, plain),
    )


def _time(given: TimeFilter) -> filters.TimeFilter:
    return filters.TimeFilter(_made(given.preset, word), given.from_, given.to)


def _all(given: Sequence[SampleFilter]) -> list[filters.SampleFilter]:
    return [plain(each) for each in given]


def _made(given: Any, make: Callable[[Any], Any]) -> Any:
    return None if given is None else make(given)
