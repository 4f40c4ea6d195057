"""Facets of a list of samples: the values that they have, and how many have each, whatever page is shown.

The rows of the list are read once for all facets, and counted by two numbers that each has: one stands for its labels,
the other for the rest of what facets count. What a number stands for, one of its samples says: how many samples there
are makes no difference to that. Where the list is a whole working set or version, what is counted already is not read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Subquery,
    Text,
    case,
    cast,
    false,
    func,
    select,
    union_all,
)
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.postgres.models import Label, Sample
from db.queries.compile_context import IDS, CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Page
from db.queries.filters import SampleFilter
from db.queries.json_text import Encode, Parts, concatenate, number, text, unescaped
from db.queries.pagination import FACET_SIZE
from db.queries.paths import directories_below
from db.queries.rows import DatasetState
from db.queries.types.fields import value
from db.queries.types.label import stored_count as label_count
from db.queries.types.sample import stored_count

STATES = ("LABELED", "PENDING", "UNLABELED")
NO_IDS = sql("'{}'::bigint[]", IDS)

Counts = Select[Any] | sqlalchemy.CompoundSelect[Any]  # the columns `value` and `count`


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value, or the row of a label, and how many samples have it."""

    value: Any
    count: ColumnElement[Any]


class Facets:
    """The facets of the list that a page belongs to."""

    def __init__(self, context: CompileContext, page: Page) -> None:
        self.context, self.page = context, page
        self.filter: SampleFilter = page.field.argument("filter") or SampleFilter()
        self.row = page.source()
        self.sample = context.row(Sample, page.state)  # one of a group
        self.groups, self.kinds = context.name("groups"), context.name("kinds")
        self.few: str | None = None  # the table that says whether samples have few labels
        self.keys: dict[str, ColumnElement[Any]] = {}  # that the rows are grouped by, by each alone
        self.values: dict[str, ColumnElement[Any]] = {}  # that all samples with one `facets_key` have in common

    @property
    def known(self) -> DatasetState | None:
        """The working set or version of which the list is all, or all in one labelling state: much is counted."""
        is_all = self.page.model is Sample and self.page.nearest is None
        is_known = is_all and self.filter == SampleFilter(state=self.filter.state)
        return self.page.state if is_known else None

    def json(self, field: SelectedField) -> Parts:
        json = concatenate(self.context.nested(self, field.fields))
        tables = [*self._few(), *self._groups(), *self._kinds()]
        return [select(json).add_cte(*tables, nest_here=True).scalar_subquery()]

    def group_by(self, key: str, value: ColumnElement[Any]) -> None:
        """How many rows have each value of a key, and the id of one of them."""
        self.context.costly = True
        self.keys[key] = value

    def of_group(self, name: str) -> ColumnElement[Any]:
        return sql(f"{self.groups}.{name}", self.keys[name].type if name in self.keys else BigInteger())

    def select_groups(self, key: str, *columns: ColumnElement[Any]) -> Select[Any]:
        """For each value of a key, NULL left out: the columns, and the count."""
        rows = select(*columns, self.of_group("count").label("count")).select_from(sqlalchemy.table(self.groups))
        return rows.where(self.of_group(key).is_not(None))

    def of_samples(self, condition: ColumnElement[bool], *columns: ColumnElement[Any]) -> Join:
        """The groups that meet a condition with their counts, and columns of one sample of each. The samples are found
        by their ids in one pass of an index. FULL: however few the planner expects, they are hashed, and not compared
        each with each."""
        groups = sqlalchemy.table(self.groups)
        counts = select(self.of_group("id").label("id"), self.of_group("count").label("count")).select_from(groups)
        ids = select(self.of_group("id")).select_from(groups).where(condition).scalar_subquery()
        row = self.sample
        is_one = row["id"] == func.any(func.array(ids))
        samples = row.select(row["id"].label("id"), *columns, where=[is_one, *row.conditions()]).offset(sql("0"))
        counted = counts.where(condition).offset(sql("0")).subquery(self.context.name("counted"))
        found = samples.subquery(self.context.name("found"))
        return counted.outerjoin(found, counted.c.id == found.c.id, full=True)

    def counted(self, name: str, value: ColumnElement[Any]) -> Select[Any]:
        """The count of each value that is made of `self.sample`, NULL left out."""
        self.group_by("facets_key", self.row["facets_key"])
        self.values[name] = value
        own, count = sql(f"{self.kinds}.{name}", value.type), sql(f"{self.kinds}.count", BigInteger)
        kinds = select(own.label("value"), count.label("count")).select_from(sqlalchemy.table(self.kinds))
        return kinds.where(own.is_not(None))

    def has_few_labels(self) -> ColumnElement[bool]:
        """What `few_labels` says, once for the statement."""
        self.few = self.few or self.context.name("few")
        return select(sql("are_few", Boolean)).select_from(sqlalchemy.table(self.few)).scalar_subquery()

    def _few(self) -> list[CTE]:
        return [] if self.few is None else [few_labels(self).cte(self.few).prefix_with("MATERIALIZED")]

    def _groups(self) -> list[CTE]:
        """None where no facet needs them. OFFSET: a key is made once for each row."""
        if not self.keys:
            return []
        values = [value.label(name) for name, value in {**self.keys, "id": self.row["id"]}.items()]
        rows = self.row.select(*values, where=self.page.conditions(self.row)).offset(sql("0"))
        matching = rows.subquery(self.context.name("matching"))
        keys = [matching.c[name] for name in self.keys]
        groups = select(*keys, func.count().label("count"), func.min(matching.c.id).label("id"))
        return [groups.group_by(each_of(keys)).cte(self.groups).prefix_with("MATERIALIZED")]

    def _kinds(self) -> list[CTE]:
        """How many samples have each value, for all values that those with one `facets_key` have in common."""
        if not self.values:
            return []
        values = (value.label(name) for name, value in self.values.items())
        groups = self.of_samples(self.of_group("facets_key").is_not(None), *values)
        columns = [groups.right.c[name] for name in self.values]
        kinds = select(*columns, total(groups.left.c.count)).select_from(groups)
        return [kinds.group_by(each_of(columns)).cte(self.kinds).prefix_with("MATERIALIZED")]


def each_of(keys: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Grouping by each of these alone, in one pass."""
    return func.grouping_sets(*(sqlalchemy.tuple_(key) for key in keys))


def size(field: SelectedField, limit: int) -> int:
    """How many values a facet lists at most. Raises Invalid outside 0..limit."""
    first: int | None = field.argument("first")
    if first is None:
        return min(FACET_SIZE, limit)
    if not 0 <= first <= limit:
        raise Invalid(f"`first` of a facet must be a number from 0 to {limit}, and is {first}.", most=limit)
    return first


def by_count(count: ColumnElement[Any], name: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    return count.desc(), sqlalchemy.collate(name, "C")


def total(count: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.sum(count), BigInteger).label("count")


def summed(facets: Facets, counts: Counts) -> Subquery:
    """Each value once."""
    parts = counts.subquery(facets.context.name("counts"))
    return select(parts.c.value, total(parts.c.count)).group_by(parts.c.value).subquery(facets.context.name("values"))


def listed(
    facets: Facets,
    field: SelectedField,
    source: FacetValue,
    origin: Callable[[], FromClause],
    name: ColumnElement[Any],
    where: Sequence[ColumnElement[bool]] = (),
) -> Parts:
    """The JSON array of the values with the most samples; by name where they have as many."""
    context, before = facets.context, facets.context.unbounded
    item = concatenate(context.nested(source, field.fields)).label("item")
    rows = select(item).select_from(origin()).where(source.count > sql("0"), *where)
    rows = rows.order_by(*by_count(source.count, name))
    return [context.listed(rows.limit(sql(str(size(field, context.page)))), before)]


def plain(facets: Facets, field: SelectedField, counts: Counts) -> Parts:
    """Each value has one count."""
    values = counts.subquery(facets.context.name("values"))
    source = FacetValue(values.c.value, values.c.count)
    return listed(facets, field, source, lambda: values, values.c.value)


def states(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    state = facets.known
    if state is None:
        return plain(facets, field, facets.counted("state", facets.sample["state"]))
    counts = [
        select(sql(f"'{name}'", Text).label("value"), stored_count(context, state, name).label("count"))
        for name in STATES
        if facets.filter.state in (None, name)
    ]
    return plain(facets, field, union_all(*counts))


def labels(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    label = context.row(Label, facets.page.state)
    name, conditions = label["name"], label.conditions()
    if facets.known is not None:  # all samples with labels are LABELED
        source, has_labels = FacetValue(label, label_count(context, label)), facets.filter.state in (None, "LABELED")
        is_counted = label["dataset_id"] == label.state.dataset_id if has_labels else false()
        context.costly = True
        return listed(facets, field, source, label.origin, name, [is_counted, *conditions])
    counts = summed(facets, label_counts(facets))
    is_counted = counts.c.value == label["id"]
    source = FacetValue(label, counts.c.count)
    return listed(facets, field, source, lambda: label.origin().join(counts, is_counted), name, conditions)


def label_counts(facets: Facets) -> Counts:
    """By the ids of labels: up to three are in the key, or 0 where there are less; if there are more, one sample of the
    group says them. Where most samples have more, groups are nearly as many as rows, and the labels are read with
    these."""
    context, row, are_few = facets.context, facets.page.source(), facets.has_few_labels()
    facets.group_by("labels_key", case((are_few, facets.row["labels_key"])))
    key = facets.of_group("labels_key")
    bits = (f"{key} & 2097151", f"{key} >> 21 & 2097151", f"{key} >> 42")
    ids = [sql(each, BigInteger).label(f"id{number}") for number, each in enumerate(bits)]
    few = facets.select_groups("labels_key", *ids).where(key > sql("0")).subquery(context.name("few"))
    keys = [few.c[each.name] for each in ids]
    of_few = select(func.coalesce(*keys).label("value"), total(few.c.count)).group_by(each_of(keys))
    more = facets.of_samples(key < sql("0"), facets.sample["label_ids"].label("ids"))
    of_more = select(func.unnest(more.right.c.ids).label("value"), more.left.c.count).select_from(more)
    lists = row.select(func.coalesce(row["label_ids"], NO_IDS).label("ids"), where=facets.page.conditions(row))
    read = lists.where(are_few.is_(false())).offset(sql("0")).subquery(context.name("lists"))
    many = select(read.c.ids, func.count().label("count")).group_by(read.c.ids).subquery(context.name("many"))
    return union_all(of_few, of_more, select(func.unnest(many.c.ids).label("value"), many.c.count))


def few_labels(facets: Facets) -> Select[Any]:
    """Whether samples with labels have few of them, in the mean."""
    label = facets.context.row(Label, facets.page.state)
    is_of_dataset = [label["dataset_id"] == label.state.dataset_id, *label.conditions()]
    on_samples = label.select(func.sum(label_count(facets.context, label)), where=is_of_dataset).scalar_subquery()
    assert facets.page.state is not None
    labelled = stored_count(facets.context, facets.page.state, "LABELED")
    return select((func.coalesce(on_samples, sql("0")) <= labelled * sql("2.5")).label("are_few"))


def labelers(_context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    return plain(facets, field, facets.counted("labeled_by", facets.sample["labeled_by"]))


def directories(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    context.custom_plan = True
    name, path_of = directories_below(field.argument("under") or "", facets.sample, context.bind)
    names = facets.counted(context.name("directory"), name).subquery()
    values = summed(facets, select(path_of(names.c.value).label("value"), names.c.count))  # a name may have two forms
    most = select(values).order_by(*by_count(values.c.count, values.c.value))  # of these alone JSON is made
    return plain(facets, field, most.limit(sql(str(size(field, context.page)))))


def usages(_context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    if facets.row.version is None:
        return plain(facets, field, facets.counted("usage", facets.sample["usage"]))
    facets.group_by("usage", facets.row["usage"])  # depends on the version's split, and not on the sample alone
    return plain(facets, field, facets.select_groups("usage", facets.of_group("usage").label("value")))


def hard_count(_context: CompileContext, facets: Facets, _field: SelectedField) -> Parts:
    if facets.known is not None and facets.filter.state is None:
        row = facets.page.source()
        facets.context.costly = True
        count = row.select(func.count(), where=[*facets.page.conditions(row), row["hard"]])
        return number(count.scalar_subquery())
    counts = facets.counted("hard", facets.sample["hard"]).subquery()
    total = func.coalesce(func.sum(counts.c.count).filter(counts.c.value), sql("0"))
    return number(select(total).select_from(counts).scalar_subquery())


FACETS = Field(lambda context, page, field: Facets(context, page).json(field))
SAMPLE_FACETS = ObjectType(
    "SampleFacets",
    {
        "states": Field(states, is_list=True),
        "labels": Field(labels, is_list=True),
        "labelers": Field(labelers, is_list=True),
        "directories": Field(directories, is_list=True),
        "usages": Field(usages, is_list=True),
        "hardCount": Field(hard_count),
    },
)
COUNT = value(lambda counted: counted.count, number)
LABEL_FACET = ObjectType(
    "LabelFacet",
    {"label": Field(lambda context, counted, field: context.nested(counted.value, field.fields)), "count": COUNT},
)


def _value_type(name: str, encode: Encode) -> ObjectType:
    return ObjectType(name, {"value": value(lambda counted: counted.value, encode), "count": COUNT})


FACET_TYPES = (
    SAMPLE_FACETS,
    LABEL_FACET,
    _value_type("StateFacet", unescaped),
    _value_type("LabelerFacet", text),
    _value_type("DirectoryFacet", text),
    _value_type("UsageFacet", unescaped),
)
