"""The SQL of a filter. Paths are compared in NFC, whatever form they have in storage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Text, and_, false, func, or_, select, true
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.postgres.models import Sample, Source
from db.queries.filters import patterns
from db.queries.filters.criteria import LabelFilter, PathFilter, SampleFilter, TextFilter, TimeFilter
from db.queries.parameters import Bind, bind_value

TEXTS = ARRAY(Text())
PRESETS = {
    "WITHIN_1_DAY": "date_trunc('day', now(), 'UTC') - interval '1 day'",
    "WITHIN_1_MONTH": "date_trunc('day', now(), 'UTC') - interval '30 days'",
}
MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class SampleRows:
    """The rows that a filter selects from: those of the version `version_id`, or of the working set, whose paths are
    their sources' paths.

    `is_bound`: Postgres plans for the values of each execution, and `dataset_id` is such a value; then it may know the
    labels before it chooses an index. Otherwise they are looked up once, when the statement starts.
    """

    column: Callable[[str], ColumnElement[Any]]
    dataset_id: ColumnElement[Any]
    is_bound: bool = False
    version_id: ColumnElement[Any] | None = None

    def label_ids(self, names: ColumnElement[Any], *, every: bool) -> ColumnElement[Any]:
        """The ids of the labels of these names; `every`: null unless all are known."""
        if self.version_id is not None:
            ids = (func.labels_all_named_in if every else func.labels_named_in)(self.version_id, names)
        else:
            ids = (func.labels_all_named if every else func.labels_named)(self.dataset_id, names)
        return ids if self.is_bound else select(ids).scalar_subquery()

    def labels_are_rare(self, *names: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the labels of these names are so rare that all matches are better found and sorted."""
        if self.version_id is not None:
            return func.labels_few_in(self.version_id, *names)
        return func.labels_few(self.dataset_id, *names)


def working_set(dataset_id: int) -> SampleRows:
    """The working set of a dataset, in a statement that reads the table `sample`."""
    columns = Sample.__table__.c  # type: ignore[attr-defined]
    return SampleRows(column=columns.__getitem__, dataset_id=bind_value(BigInteger(), int, dataset_id))


def conditions(filter_: SampleFilter, rows: SampleRows, bind: Bind = bind_value) -> ColumnElement[bool]:
    """The condition for the samples that match. The caller adds which dataset they belong to.

    Raises Invalid for a time that ends before it begins: at once, or when the plan's values are bound.
    """
    if filter_.size() > MAX_PARTS:
        raise Invalid(f"A filter has at most {MAX_PARTS} parts: say it in fewer.", most=MAX_PARTS)
    return _Builder(rows, bind).all_of(filter_, indexed=True)


def labels_are_rare(
    filter_: SampleFilter, rows: SampleRows, page: int, bind: Bind = bind_value
) -> ColumnElement[bool] | None:
    """Whether it is cheaper to find all matches by their labels than to walk along an order until a page is full.

    This depends on the labels' own counts: the statistics of Postgres do not know rare or new labels. NULL where no
    label has such a name; None where the filter names no labels that every match has.
    """
    required = [each.labels for each in filter_.conjuncts() if each.labels is not None and each.labels.match != "NONE"]
    rare = [
        rows.labels_are_rare(
            bind(TEXTS, patterns.labels_named, labels.names),
            sql("true" if labels.match == "ALL" else "false"),
            sql(str(page)),
        )
        for labels in required
    ]
    return or_(*rare) if rare else None


@dataclass(frozen=True, slots=True)
class _Builder:
    rows: SampleRows
    bind: Bind

    def all_of(self, filter_: SampleFilter, *, indexed: bool) -> ColumnElement[bool]:
        """`indexed`: every row of the result meets this, so that an index may find them."""
        return and_(true(), *self.criteria(filter_, indexed))

    def criteria(self, filter_: SampleFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        yield from self.columns(filter_)
        if filter_.labels is not None:
            yield self.labels(filter_.labels)
        if filter_.created_at is not None:
            yield from self.time(filter_.created_at)
        if filter_.file_name is not None:
            yield from self.file_name(filter_.file_name, indexed)
        if filter_.path is not None:
            yield from self.path(filter_.path, indexed)
        for each in filter_.and_ or ():
            yield self.all_of(each, indexed=indexed)
        if filter_.or_ is not None:
            yield or_(false(), *(self.all_of(each, indexed=False) for each in filter_.or_))
        if filter_.not_ is not None:
            yield self.all_of(filter_.not_, indexed=False).is_not(true())

    def columns(self, filter_: SampleFilter) -> Iterator[ColumnElement[bool]]:
        column = self.rows.column
        if filter_.state is not None:
            yield column("state") == enum_value(filter_.state)
        if filter_.usage is not None:
            yield column("usage") == enum_value(filter_.usage)
        if filter_.hard is not None:
            yield column("hard") if filter_.hard else ~column("hard")
        if filter_.is_damaged is not None:  # few sources are, and an index knows them
            source = Source.__table__.alias()  # type: ignore[attr-defined]
            damaged = select(source.c.id).where(source.c.dataset_id == self.rows.dataset_id, source.c.damaged)
            is_damaged = column("source_id").in_(damaged)
            yield is_damaged if filter_.is_damaged else ~is_damaged
        if filter_.labeled_by is not None:
            yield column("labeled_by") == func.any(self.bind(TEXTS, patterns.one_of, filter_.labeled_by))

    def labels(self, filter_: LabelFilter) -> ColumnElement[bool]:
        label_ids = self.rows.column("label_ids")
        names = self.bind(TEXTS, patterns.labels_named, filter_.names)
        if filter_.match == "ALL":
            return label_ids.op("@>")(self.rows.label_ids(names, every=True))
        overlaps = label_ids.op("&&")(self.rows.label_ids(names, every=False))
        return overlaps.is_not(true()) if filter_.match == "NONE" else overlaps

    def time(self, filter_: TimeFilter) -> Iterator[ColumnElement[bool]]:
        created_at = self.rows.column("created_at")
        if filter_.preset is not None:
            yield and_(created_at >= sql(PRESETS[filter_.preset]), created_at <= func.now())
        if filter_.from_ is not None:
            yield created_at >= self.bind(DateTime(timezone=True), patterns.not_before, filter_.from_, filter_.to)
        if filter_.to is not None:
            yield created_at <= self.bind(DateTime(timezone=True), patterns.in_utc, filter_.to)

    def file_name(self, filter_: TextFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        name = func.split_part(composed(self.rows.column("path")), sql("'/'"), sql("-1"))
        if filter_.eq is not None:
            is_equal = name == self.bind_path(patterns.exactly, filter_.eq)
            yield self.by_source(is_equal, self.bind_path(patterns.ending_with, filter_.eq), indexed)
        if filter_.contains is not None:
            contains = func.coalesce(self.contains(name, filter_.contains), false())
            yield self.by_source(contains, self.bind_path(patterns.containing, filter_.contains), indexed)

    def path(self, filter_: PathFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        path = composed(self.rows.column("path"))
        if filter_.directory is not None:
            yield self.below(filter_.directory)
            if not filter_.recursive:
                yield path.not_like(self.bind_path(patterns.below_directory, filter_.directory))
        if filter_.contains is None:
            return
        if indexed and self.rows.version_id is None:
            pattern = self.bind_path(patterns.containing, filter_.contains)
            yield self.by_source(self.contains_folded(path, filter_.contains), pattern, indexed)
        else:
            yield self.contains(path, filter_.contains)

    def below(self, directory: Any) -> ColumnElement[bool]:
        """Two ranges, each with an index: of paths as they are, and of those that are not in NFC as they would be."""
        path, in_nfc = self.rows.column("path"), composed(self.rows.column("path"))
        start, end, composed_start, composed_end = (
            self.bind_path(make, directory)
            for make in (
                patterns.directory_start,
                patterns.directory_end,
                patterns.composed_directory_start,
                patterns.composed_directory_end,
            )
        )
        in_range = and_(path >= start, path < end)
        return or_(in_range, and_(in_nfc != path, in_nfc >= composed_start, in_nfc < composed_end))

    def by_source(
        self, condition: ColumnElement[bool], pattern: ColumnElement[Any], indexed: bool
    ) -> ColumnElement[bool]:
        """The condition; where it pays, with the index of substrings, which is on the sources' paths."""
        if not indexed or self.rows.version_id is not None:
            return condition
        source = Source.__table__.alias()  # type: ignore[attr-defined]
        likely = select(source.c.id).where(
            source.c.dataset_id == self.rows.dataset_id,
            func.lower(composed(source.c.path)).like(pattern),
        )
        return and_(condition, self.rows.column("source_id").in_(likely))

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
        return self.bind(Text(), lambda value: make(normalize("NFC", patterns.bounded(value))), text)


def composed(path: ColumnElement[Any]) -> ColumnElement[Any]:
    """A path in NFC. File systems keep names as they were written: some write `é` as two code points."""
    return func.composed(path, type_=Text(collation="C"))


def enum_value(value: str) -> ColumnElement[str]:
    """The value of an enum, written out so that every plan knows it."""
    if not (value.isascii() and value.replace("_", "").isalnum()):
        raise Invalid("That is no word of the schema.")
    return sql(f"'{value}'")
