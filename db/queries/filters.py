"""Sample filters as SQL conditions: the same for the pages that show samples and the writers that change them.

    SampleFilter(state="LABELED", labels=LabelFilter(["cat", "dog"], "ALL"), not_=SampleFilter(is_hard=True))

A writer says `select(Sample.id).where(conditions(filter, working_set(dataset_id)))`.

A criterion that is None does not exist; values are plain, or `Parameter`s of a compiled plan. A filter matches a row or
it does not: a criterion does not match an unknown value (null), so its `not_` does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Text,
    and_,
    any_,
    case,
    false,
    func,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import array

from db.errors import Invalid
from db.postgres.models import Annotation, Sample, Source
from db.queries import patterns
from db.queries.orders import labeled_at
from db.queries.parameters import Bind, Parameter, bind_value, has_one_item
from db.queries.paths import PathConditions, PathFilter, TextFilter
from db.queries.rows import DatasetState, Row, table_of
from db.queries.suggestions import SuggestionConditions, SuggestionFilter

TEXTS, IDS = ARRAY(Text()), ARRAY(BigInteger())
PRESETS = {
    "WITHIN_1_DAY": "date_trunc('day', now(), 'UTC') - interval '1 day'",
    "WITHIN_1_MONTH": "date_trunc('day', now(), 'UTC') - interval '30 days'",
}
MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """By confirmed labels. No sample has a label that is unknown: ANY and ALL of it match none, NONE all."""

    names: Sequence[str] | Parameter | None = None
    match: str = "ANY"
    ids: Sequence[str] | Parameter | None = None


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """From and to are inclusive."""

    preset: str | None = None
    from_: datetime | Parameter | None = None
    to: datetime | Parameter | None = None


@dataclass(frozen=True, slots=True)
class IntFilter:
    """`min` and `max` are inclusive."""

    eq: int | Parameter | None = None
    min: int | Parameter | None = None
    max: int | Parameter | None = None


@dataclass(frozen=True, slots=True)
class SampleFilter:
    ids: Sequence[str] | Parameter | None = None
    state: str | None = None
    labels: LabelFilter | None = None
    created_at: TimeFilter | None = None
    added_at: TimeFilter | None = None
    labeled_at: TimeFilter | None = None
    file_name: TextFilter | None = None
    path: PathFilter | None = None
    labeled_by: Sequence[str] | Parameter | None = None
    is_hard: bool | None = None
    usage: str | None = None
    is_damaged: bool | None = None
    is_source_available: bool | None = None
    width: IntFilter | None = None
    height: IntFilter | None = None
    size_: IntFilter | None = None
    format: str | None = None
    annotation_count: IntFilter | None = None
    changed_since: int | Parameter | None = None
    suggestions: SuggestionFilter | None = None
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
    times = (filter_.created_at, filter_.added_at, filter_.labeled_at)
    numbers = (filter_.width, filter_.height, filter_.size_, filter_.annotation_count)
    return (
        any(each is not None for each in (filter_.state, filter_.is_hard, filter_.usage, filter_.is_damaged))
        or any(each is not None for each in (filter_.is_source_available, filter_.format, filter_.changed_since))
        or filter_.suggestions is not None
        or bool(filter_.labels and (filter_.labels.names or filter_.labels.ids))
        or bool(filter_.ids or filter_.labeled_by)
        or any(each not in (None, TimeFilter()) for each in times)
        or any(each not in (None, IntFilter()) for each in numbers)
        or name.eq is not None
        or bool(name.contains or path.contains or path.in_ or path.starts_with)
        or in_a_directory
        or any(has_criteria(each) for each in filter_.and_ or ())
        or (bool(filter_.or_) and all(has_criteria(each) for each in filter_.or_ or ()))
        or (filter_.not_ is not None and has_criteria(filter_.not_))
    )


def working_set(dataset_id: int) -> Row:
    """The working set of a dataset, in a statement that reads the table `sample`."""
    return Row("sample", Sample, DatasetState(bind_value(BigInteger(), int, dataset_id)))


def conditions(filter_: SampleFilter, row: Row, bind: Bind = bind_value) -> ColumnElement[bool]:
    """The condition for the samples that match. The caller adds which dataset they belong to.

    Raises Invalid for a time that ends before it begins: at once, or when the plan's values are bound.
    """
    if filter_.size() > MAX_PARTS:
        raise Invalid(f"A filter has at most {MAX_PARTS} parts: use fewer.", most=MAX_PARTS)
    return _Builder(row, bind).all_of(filter_, indexed=True)


def labels_are_rare(filter_: SampleFilter, row: Row, page: int, bind: Bind = bind_value) -> ColumnElement[bool] | None:
    """Whether it is cheaper to find all matches by their labels than to walk along an order until a page is full.

    This depends on the labels' own counts: the statistics of Postgres do not know rare or new labels. NULL where no
    label has such a name; None where the filter names no labels that every match has.
    """
    required = [each.labels for each in filter_.conjuncts() if each.labels is not None and each.labels.match != "NONE"]
    builder = _Builder(row, bind)
    rare = [
        (func.labels_few if row.version is None else func.labels_few_in)(
            builder.label_scope(),
            builder.label_ids(labels, every=False, is_planned=True),
            sql("true" if labels.match == "ALL" else "false"),
            sql(str(page)),
        )
        for labels in required
    ]
    return or_(*rare) if rare else None


def single_label(filter_: SampleFilter) -> LabelFilter | None:
    """The filter's labels, if having one label is all that it asks for, whatever the value."""
    labels = filter_.labels
    if labels is None or labels.match == "NONE" or filter_ != SampleFilter(labels=labels):
        return None
    lists = [each for each in (labels.names, labels.ids) if each is not None]
    return labels if len(lists) == 1 and has_one_item(lists[0]) else None


def has_label_by_key(filter_: SampleFilter, row: Row, bind: Bind = bind_value) -> ColumnElement[bool] | None:
    """The condition of a filter by a single label, as an index answers it that has `labels_key`: the key says up to
    three labels; where it is negative there are more, and the sample is read. None of another filter, and for versions.
    """
    labels = single_label(filter_)
    if labels is None or row.version is not None:
        return None
    ids = type_coerce(_Builder(row, bind).label_ids(labels, every=False, is_planned=True), IDS)
    label_id = func.nullif(select(ids).scalar_subquery()[sql("1", Integer)], sql("0"))
    sample, key = Row(f"{row.name}_labels", Sample, row.state), row["labels_key"]
    more = sample.select(sample["label_ids"], where=[sample["id"] == row["id"]]).scalar_subquery()
    few: ColumnElement[Any] = array(
        [sql(part) for part in (f"{key} & 2097151", f"{key} >> 21 & 2097151", f"{key} >> 42")]
    )
    return label_id == any_(case((key < sql("0"), more), else_=few))


def in_order_of_suggestions(
    filter_: SampleFilter, row: Row, bind: Bind = bind_value
) -> Callable[[str], ColumnElement[Any]] | None:
    """The columns `created_at` and `id`, read in this order from suggestions, where one label being suggested is all
    that the filter asks for, but for a state; None where they are to be read from the samples."""
    some = filter_.suggestions
    if some is None or some.disagrees is not None or filter_ != SampleFilter(state=filter_.state, suggestions=some):
        return None
    lists = [each for each in (some.labels, some.label_ids) if each is not None]
    if len(lists) != 1 or not has_one_item(lists[0]):
        return None
    return _Builder(row, bind).suggested(some).in_order()


def is_one_of(labels: LabelFilter, label: Row, bind: Bind = bind_value) -> ColumnElement[bool]:
    """Whether a label is one of those that a filter gives by name, or by id."""
    if labels.names is not None:
        return label["name"] == func.any(bind(TEXTS, patterns.labels_named, labels.names))
    return label["id"] == func.any(bind(IDS, patterns.numbers_of("Label"), labels.ids))


@dataclass(frozen=True, slots=True)
class _Builder:
    row: Row
    bind: Bind

    def all_of(self, filter_: SampleFilter, *, indexed: bool) -> ColumnElement[bool]:
        """`indexed`: every row of the result meets this, so that an index may find them."""
        return and_(true(), *self.criteria(filter_, indexed))

    def criteria(self, filter_: SampleFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        yield from self.columns(filter_)
        if filter_.labels is not None:
            yield self.labels(filter_.labels)
        if filter_.suggestions is not None:
            yield from self.suggested(filter_.suggestions).conditions(indexed=indexed)
        yield from self.times(filter_)
        paths = PathConditions(self.row, self.bind)
        if filter_.file_name is not None:
            yield from paths.of_name(filter_.file_name, indexed=indexed)
        if filter_.path is not None:
            yield from paths.of_path(filter_.path, indexed=indexed)
        for each in filter_.and_ or ():
            yield self.all_of(each, indexed=indexed)
        if filter_.or_ is not None:
            yield or_(false(), *(self.all_of(each, indexed=False) for each in filter_.or_))
        if filter_.not_ is not None:
            yield self.all_of(filter_.not_, indexed=False).is_not(true())

    def times(self, filter_: SampleFilter) -> Iterator[ColumnElement[bool]]:
        if filter_.created_at is not None:
            yield from in_period("createdAt", self.row["created_at"], filter_.created_at, self.bind)
        if filter_.added_at is not None:
            yield from in_period("addedAt", self.row["added_at"], filter_.added_at, self.bind)
        if filter_.labeled_at is not None:  # as in the index of the order by it
            yield self.row["labeled_at"].is_not(None)
            yield from in_period("labeledAt", labeled_at(self.row), filter_.labeled_at, self.bind)

    def columns(self, filter_: SampleFilter) -> Iterator[ColumnElement[bool]]:
        row, source = self.row, table_of(Source)
        if filter_.ids is not None:
            yield row["id"] == func.any(self.bind(IDS, patterns.numbers_of("Sample"), filter_.ids))
        if filter_.changed_since is not None:
            yield row["since"] > self.bind(BigInteger(), int, filter_.changed_since)
        if filter_.state is not None:
            yield row["state"] == enum_value(filter_.state)
        if filter_.usage is not None:
            yield row["usage"] == enum_value(filter_.usage)
        if filter_.is_hard is not None:
            yield row["hard"] if filter_.is_hard else ~row["hard"]
        if filter_.is_damaged is not None:  # few sources are, and an index knows them
            is_damaged = row["source_id"].in_(self.sources(source.c.damaged))
            yield is_damaged if filter_.is_damaged else ~is_damaged
        if filter_.annotation_count is not None:
            yield from self.number("annotationCount", self.annotations(), filter_.annotation_count)
        if facts := list(self.facts(filter_)):
            yield row["source_id"].in_(self.sources(*facts))
        if filter_.labeled_by is not None:
            yield row["labeled_by"] == func.any(self.bind(TEXTS, patterns.one_of, filter_.labeled_by))

    def labels(self, filter_: LabelFilter) -> ColumnElement[bool]:
        label_ids = self.row["label_ids"]
        if filter_.match == "ALL":
            return label_ids.op("@>")(self.label_ids(filter_, every=True))
        overlaps = label_ids.op("&&")(self.label_ids(filter_, every=False))
        return overlaps.is_not(true()) if filter_.match == "NONE" else overlaps

    def suggested(self, filter_: SuggestionFilter) -> SuggestionConditions:
        labels = LabelFilter(filter_.labels, ids=filter_.label_ids)
        return SuggestionConditions(filter_, self.row, self.bind, lambda: self.label_ids(labels, every=False))

    def label_scope(self) -> ColumnElement[Any]:
        """What labels are looked up in: the dataset, or the version."""
        return self.row.state.dataset_id if self.row.version is None else self.row.version.version_id

    def label_ids(self, filter_: LabelFilter, *, every: bool, is_planned: bool = False) -> ColumnElement[Any]:
        """The ids of the filter's labels; `every`: null unless all its names are known. A planner that knows the
        dataset may know the labels before it chooses an index. Otherwise they are looked up when the statement starts.
        """
        parts: list[ColumnElement[Any]] = []
        if filter_.names is not None:
            in_version = self.row.version is not None
            named = func.labels_named_in if in_version else func.labels_named
            all_named = func.labels_all_named_in if in_version else func.labels_all_named
            names = self.bind(TEXTS, patterns.labels_named, filter_.names)
            parts.append((all_named if every else named)(self.label_scope(), names))
        if filter_.ids is not None:
            parts.append(self.bind(IDS, patterns.numbers_of("Label"), filter_.ids))
        if len(parts) == 2:  # NULL and other ids would be these ids
            parts = [func.array_cat(func.coalesce(parts[0], sql("'{0}'::bigint[]")), parts[1])]
        [ids] = parts
        return ids if is_planned or self.row.state.is_bound else select(ids).scalar_subquery()

    def sources(self, *conditions: ColumnElement[bool]) -> Any:
        """The ids of the dataset's sources that meet conditions."""
        source = table_of(Source)
        is_of_dataset = source.c.dataset_id == self.row.state.dataset_id
        return select(source.c.id).where(is_of_dataset, *conditions).correlate(None)

    def facts(self, filter_: SampleFilter) -> Iterator[ColumnElement[bool]]:
        """What is asked of the sample's source."""
        source = table_of(Source)
        if filter_.is_source_available is not None:
            is_present = source.c.status == sql("'PRESENT'")
            yield is_present if filter_.is_source_available else ~is_present
        if filter_.format is not None:
            yield source.c.format == enum_value(filter_.format)
        for field, number in (("width", filter_.width), ("height", filter_.height), ("size", filter_.size_)):
            if number is not None:
                yield from self.number(field, source.c[field], number)

    def number(self, field: str, value: ColumnElement[Any], filter_: IntFilter) -> Iterator[ColumnElement[bool]]:
        if filter_.eq is not None:
            yield value == self.bind(BigInteger(), int, filter_.eq)
        if filter_.min is not None:
            yield value >= self.bind(BigInteger(), patterns.at_least(field), filter_.min, filter_.max)
        if filter_.max is not None:
            yield value <= self.bind(BigInteger(), int, filter_.max)

    def annotations(self) -> ColumnElement[Any]:
        """How many annotations the sample has, suggestions included."""
        annotation = Row(f"{self.row.name}_annotation", Annotation, self.row.state)
        is_of_sample = annotation["sample_id"] == self.row["id"]
        return annotation.select(func.count(), where=[is_of_sample, *annotation.conditions()]).scalar_subquery()


def in_period(field: str, moment: ColumnElement[Any], filter_: TimeFilter, bind: Bind) -> Iterator[ColumnElement[bool]]:
    """The conditions for a moment that a filter has under the name of this field."""
    if filter_.preset is not None:
        yield and_(moment >= sql(PRESETS[filter_.preset]), moment <= func.now())
    if filter_.from_ is not None:
        yield moment >= bind(DateTime(timezone=True), patterns.not_before(field), filter_.from_, filter_.to)
    if filter_.to is not None:
        yield moment <= bind(DateTime(timezone=True), patterns.in_utc, filter_.to)


def enum_value(value: str) -> ColumnElement[str]:
    """The value of an enum, written out so that every plan knows it."""
    if not (value.isascii() and value.replace("_", "").isalnum()):
        raise Invalid("That is no word of the schema.")
    return sql(f"'{value}'")
