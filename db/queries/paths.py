"""Filters of samples by their paths, which are compared in NFC, whatever form they have in storage.

`indexed`: every row of the result meets the condition, so that an index may find them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from sqlalchemy import ARRAY, ColumnElement, Integer, Text, and_, case, false, func, or_, select
from sqlalchemy import literal_column as sql

from db.postgres.models import Source
from db.queries import patterns
from db.queries.parameters import Bind, Parameter, bind_value, has_trigram
from db.queries.rows import Row, table_of

TEXTS = ARRAY(Text())


@dataclass(frozen=True, slots=True)
class TextFilter:
    contains: str | Parameter | None = None
    eq: str | Parameter | None = None


@dataclass(frozen=True, slots=True)
class PathFilter:
    directory: str | Parameter | None = None
    recursive: bool = False
    contains: str | Parameter | None = None
    in_: Sequence[str] | Parameter | None = None
    starts_with: str | Parameter | None = None


def directories_below(
    directory: Any, row: Row, bind: Bind = bind_value
) -> tuple[ColumnElement[Any], Callable[[ColumnElement[Any]], ColumnElement[Any]]]:
    """Which directory directly below this one a sample is in, at any depth: its name as it is stored, NULL if there is
    none; and how its path in NFC is made of the name, which is slow for every sample and fast for every directory."""
    paths, path = PathConditions(row, bind), row["path"]
    depth = bind(Integer(), lambda text: patterns.directory_start(text).count("/"), directory)
    name, rest = (func.split_part(path, sql("'/'"), depth + sql(part)) for part in ("1", "2"))
    start = paths.bind_path(patterns.directory_start, directory)
    key = func.nullif(name, path) if directory == "" else case((and_(paths.below(directory), rest != sql("''")), name))
    return key, lambda name: start.op("||")(composed(name))


@dataclass(frozen=True, slots=True)
class PathConditions:
    row: Row
    bind: Bind

    def of_name(self, filter_: TextFilter, *, indexed: bool) -> Iterator[ColumnElement[bool]]:
        name = func.split_part(composed(self.row["path"]), sql("'/'"), sql("-1"))
        if filter_.eq is not None:
            is_equal = name == self.bind_path(str, filter_.eq)
            ending = self.bind_path(patterns.ending_with, filter_.eq)
            yield self.by_source(is_equal, ending) if self.finds(filter_.eq, indexed) else is_equal
        if filter_.contains is not None:
            contains = func.coalesce(self.contains(name, filter_.contains), false())
            pattern = self.bind_path(patterns.containing, filter_.contains)
            yield self.by_source(contains, pattern) if self.finds(filter_.contains, indexed) else contains

    def of_path(self, filter_: PathFilter, *, indexed: bool) -> Iterator[ColumnElement[bool]]:
        path = composed(self.row["path"])
        if filter_.directory is not None:
            yield self.below(filter_.directory)
            if not filter_.recursive:
                yield path.not_like(self.bind_path(patterns.below_directory, filter_.directory))
        if filter_.in_ is not None:
            yield self.one_of(filter_.in_)
        if filter_.starts_with is not None:
            yield self.starts_with(filter_.starts_with)
        if filter_.contains is None:
            return
        if self.finds(filter_.contains, indexed):
            pattern = self.bind_path(patterns.containing, filter_.contains)
            yield self.by_source(self.contains_folded(path, filter_.contains), pattern)
        else:
            yield self.contains(path, filter_.contains)

    def below(self, directory: Any) -> ColumnElement[bool]:
        return self.in_range(directory, patterns.directory_start, patterns.directory_end, patterns.directory_start)

    def starts_with(self, prefix: Any) -> ColumnElement[bool]:
        has_prefix = func.starts_with(composed(self.row["path"]), self.bind_path(str, prefix))
        within = self.in_range(prefix, str, patterns.prefix_end, patterns.without_digits_at_the_end)
        return and_(has_prefix, within)

    def in_range(
        self, text: Any, start: Callable[[str], str], end: Callable[[str], str], prefix: Callable[[str], str]
    ) -> ColumnElement[bool]:
        """Two ranges, each with an index: of paths as they are, and of those that are not in NFC as they would be. In
        ASCII nothing is in two forms. All paths as they are have a prefix, which does not end in a digit."""

        def beyond_ascii(make: Callable[[str], str]) -> Callable[[str], str | None]:
            return lambda text: None if text.isascii() else make(text)

        path, in_nfc, order = self.row["path"], composed(self.row["path"]), self.row["path_order"]
        is_within = and_(path >= self.bind_path(start, text), path < self.bind_path(end, text))
        in_order = within_order(order, self.bind_path(prefix, text))
        composed_start, composed_end = (self.bind_path(beyond_ascii(make), text) for make in (start, end))
        return or_(
            and_(is_within, *in_order),
            and_(in_nfc != path, in_nfc >= composed_start, in_nfc < composed_end),
        )

    def one_of(self, paths: Any) -> ColumnElement[bool]:
        path, in_nfc = self.row["path"], composed(self.row["path"])
        exact, other = (self.bind(TEXTS, make, paths) for make in (patterns.in_nfc, patterns.in_nfc_beyond_ascii))
        return or_(path == func.any(exact), and_(in_nfc != path, in_nfc.op("=", is_comparison=True)(func.any(other))))

    def finds(self, needle: Any, indexed: bool) -> bool:
        """Whether the index of substrings, which is on the sources' paths, finds the samples with a needle."""
        return indexed and self.row.version is None and has_trigram(needle)

    def by_source(self, condition: ColumnElement[bool], pattern: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition, with the index of substrings."""
        source = table_of(Source).alias()
        likely = select(source.c.id).where(
            source.c.dataset_id == self.row.state.dataset_id,
            func.lower(composed(source.c.path)).like(pattern),
        )
        return and_(condition, self.row["source_id"].in_(likely))

    def contains(self, text: ColumnElement[Any], needle: Any) -> ColumnElement[bool]:
        pattern = self.bind_path(patterns.containing, needle)
        return and_(func.lower(text).like(pattern), self.contains_folded(text, needle))

    def contains_folded(self, text: ColumnElement[Any], needle: Any) -> ColumnElement[bool]:
        """For letters beyond ASCII, which the pattern leaves open."""
        folded = self.bind_path(patterns.folded_needle, needle)
        others = self.bind_path(patterns.letters_to_fold, needle)
        forms = self.bind_path(patterns.folded_letters, needle)
        return or_(folded.is_(None), func.strpos(func.translate(func.lower(text), others, forms), folded) > sql("0"))

    def bind_path(self, make: Callable[[str], str | None], text: Any) -> ColumnElement[Any]:
        """What is made of a text that is compared with paths: in NFC, as they are."""
        made = patterns.of_storable(make)
        return self.bind(Text(), lambda value: made(normalize("NFC", patterns.bounded(value))), text)


def composed(path: ColumnElement[Any]) -> ColumnElement[Any]:
    """A path in NFC. File systems keep names as they were written: some write `é` as two code points."""
    return func.composed(path, type_=Text(collation="C"))


def within_order(path_order: ColumnElement[Any], prefix: ColumnElement[Any]) -> tuple[ColumnElement[bool], ...]:
    """What the natural order of paths has of those with a prefix, which does not end in a digit: a range of it, too."""
    start = func.natural_order(prefix)
    return path_order >= start, path_order < start.op("||")(sql("repeat(U&'\\+10FFFF', 257)"))
