"""The criteria of a filter. None means: no such criterion. Values are plain, or `Parameter`s of a compiled plan.

A filter matches a row or it does not: a criterion does not match an unknown value (null), so its `not_` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from db.queries.parameters import Parameter


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """By confirmed labels. No sample has a label whose name is unknown: ANY and ALL of it match none, NONE all."""

    names: Sequence[str] | Parameter
    match: str = "ANY"


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """From and to are inclusive."""

    preset: str | None = None
    from_: datetime | Parameter | None = None
    to: datetime | Parameter | None = None


@dataclass(frozen=True, slots=True)
class TextFilter:
    contains: str | Parameter | None = None
    eq: str | Parameter | None = None


@dataclass(frozen=True, slots=True)
class PathFilter:
    directory: str | Parameter | None = None
    recursive: bool = False
    contains: str | Parameter | None = None


@dataclass(frozen=True, slots=True)
class SampleFilter:
    state: str | None = None
    labels: LabelFilter | None = None
    created_at: TimeFilter | None = None
    file_name: TextFilter | None = None
    path: PathFilter | None = None
    labeled_by: Sequence[str] | Parameter | None = None
    hard: bool | None = None
    usage: str | None = None
    is_damaged: bool | None = None
    and_: "Sequence[SampleFilter] | None" = None
    or_: "Sequence[SampleFilter] | None" = None
    not_: "SampleFilter | None" = None

    def size(self) -> int:
        """The number of filters in it, itself included."""
        below = [*(self.and_ or ()), *(self.or_ or ()), *([self.not_] if self.not_ else [])]
        return 1 + sum(each.size() for each in below)

    def conjuncts(self) -> "Iterator[SampleFilter]":
        """The filters that every match meets."""
        yield self
        for each in self.and_ or ():
            yield from each.conjuncts()


def has_criteria(filter_: SampleFilter) -> bool:
    """Whether the filter narrows the selection: it is not every sample in other words. For plain values."""
    name, path = filter_.file_name or TextFilter(), filter_.path or PathFilter()
    in_a_directory = path.directory is not None and not (path.recursive and not str(path.directory).strip("/"))
    return (
        any(each is not None for each in (filter_.state, filter_.hard, filter_.usage, filter_.is_damaged))
        or bool(filter_.labels and filter_.labels.names)
        or bool(filter_.labeled_by)
        or filter_.created_at not in (None, TimeFilter())
        or name.eq is not None
        or bool(name.contains or path.contains)
        or in_a_directory
        or any(has_criteria(each) for each in filter_.and_ or ())
        or (bool(filter_.or_) and all(has_criteria(each) for each in filter_.or_ or ()))
        or (filter_.not_ is not None and has_criteria(filter_.not_))
    )
