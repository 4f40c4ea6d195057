"""Facets of a list of samples: the values that they have, and how many have each, whatever page is shown.

The rows of the list are read once for all facets, and grouped for each of them (GROUPING SETS): a group has the values
of its own facet, and NULL for those of all others. Where the list is a whole working set or version, what is counted
already, or along an index, is not read with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, BigInteger, ColumnElement, FromClause, Select, Subquery, Text, func, select, union_all
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.postgres.models import Label, Sample
from db.queries.compile_context import IDS, CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Page
from db.queries.filters import SampleFilter, directories_below
from db.queries.json_text import Encode, Parts, concatenate, number, text, unescaped
from db.queries.pagination import FACET_SIZE
from db.queries.rows import Row
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
        self.row = page.source()
        self.name = context.name("groups")
        self.keys: dict[str, ColumnElement[Any]] = {}  # of the rows
        self.sets: dict[str, list[str]] = {}  # of keys that rows are grouped by together

    @property
    def is_whole(self) -> bool:
        """Whether the list is all of a working set or version."""
        filter_ = self.page.field.argument("filter") or SampleFilter()
        return self.page.model is Sample and filter_ == SampleFilter()

    def json(self, field: SelectedField) -> Parts:
        json = concatenate(self.context.nested(self, field.fields))
        return [select(json).add_cte(*self._groups(), nest_here=True).scalar_subquery()]

    def grouped(self, key: str, value: ColumnElement[Any], *, has_few: bool = False) -> Counts:
        """The counts of a key's values, NULL left out. Keys that have few values are grouped by together, as that is
        cheaper than grouping by each: a value may have several counts."""
        self.context.costly = True
        if key not in self.keys:
            self.keys[key] = value
            self.sets.setdefault("few" if has_few else key, []).append(key)
        own, count = sql(f"{self.name}.{key}", self.keys[key].type), sql(f"{self.name}.count", BigInteger)
        groups = select(own.label("value"), count.label("count")).select_from(sqlalchemy.table(self.name))
        return groups.where(own.is_not(None))

    def counted(self, row: Row, *columns: ColumnElement[Any], where: ColumnElement[bool]) -> Select[Any]:
        """The columns, and the number of the list's rows that meet a condition."""
        self.context.costly = True
        return row.select(*columns, func.count().label("count"), where=[*self.page.conditions(row), where])

    def _groups(self) -> list[CTE]:
        """The groups; none where no facet needs them. OFFSET: of what is made in a subquery the planner expects few
        values, and keeps their groups in a hash table. Otherwise it expects as many as paths, and sorts all rows."""
        if not self.keys:
            return []
        values = [key.label(name) for name, key in self.keys.items()]
        rows = self.row.select(*values, where=self.page.conditions(self.row)).offset(sql("0"))
        matching = rows.subquery(self.context.name("matching"))
        sets = [sqlalchemy.tuple_(*(matching.c[name] for name in names)) for names in self.sets.values()]
        groups = select(*(matching.c[name] for name in self.keys), func.count().label("count"))
        return [groups.group_by(func.grouping_sets(*sets)).cte(self.name).prefix_with("MATERIALIZED")]


def size(field: SelectedField, limit: int) -> int:
    """How many values a facet lists at most. Raises Invalid outside 0..limit."""
    first: int | None = field.argument("first")
    if first is None:
        return min(FACET_SIZE, limit)
    if not 0 <= first <= limit:
        raise Invalid(f"A facet lists 0 to {limit} values: give `first` in these bounds.", most=limit)
    return first


def summed(facets: Facets, counts: Counts) -> Subquery:
    """Each value once."""
    parts = counts.subquery(facets.context.name("counts"))
    total = func.sum(parts.c.count).label("count")
    return select(parts.c.value, total).group_by(parts.c.value).subquery(facets.context.name("values"))


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
    rows = rows.order_by(source.count.desc(), sqlalchemy.collate(name, "C"))
    return [context.listed(rows.limit(sql(str(size(field, context.page)))), before)]


def plain(facets: Facets, field: SelectedField, counts: Counts) -> Parts:
    values = summed(facets, counts)
    source = FacetValue(values.c.value, values.c.count)
    return listed(facets, field, source, lambda: values, values.c.value)


def states(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    state = facets.page.state
    if not facets.is_whole or state is None:
        return plain(facets, field, facets.grouped("state", facets.row["state"], has_few=True))
    counts = [
        select(sql(f"'{name}'", Text).label("value"), stored_count(context, state, name).label("count"))
        for name in STATES
    ]
    return plain(facets, field, union_all(*counts))


def labels(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    label = context.row(Label, facets.page.state)
    name, conditions = label["name"], label.conditions()
    if facets.is_whole:
        source, is_of_dataset = (
            FacetValue(label, label_count(context, label)),
            label["dataset_id"] == label.state.dataset_id,
        )
        context.costly = True
        return listed(facets, field, source, label.origin, name, [is_of_dataset, *conditions])
    lists = facets.grouped("label_ids", func.coalesce(facets.row["label_ids"], NO_IDS)).subquery()
    counts = summed(facets, select(func.unnest(lists.c.value).label("value"), lists.c.count))
    is_counted = counts.c.value == label["id"]
    source = FacetValue(label, counts.c.count)
    return listed(facets, field, source, lambda: label.origin().join(counts, is_counted), name, conditions)


def labelers(_context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    if not facets.is_whole:
        return plain(facets, field, facets.grouped("labeled_by", facets.row["labeled_by"], has_few=True))
    row = facets.page.source()
    who = row["labeled_by"]
    counts = facets.counted(row, who.label("value"), where=who.is_not(None))
    return plain(facets, field, counts.group_by(who))


def directories(context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    context.custom_plan = True
    name, path_of = directories_below(field.argument("under") or "", facets.row, context.bind)
    names = facets.grouped(context.name("directory"), name).subquery()
    return plain(facets, field, select(path_of(names.c.value).label("value"), names.c.count))


def usages(_context: CompileContext, facets: Facets, field: SelectedField) -> Parts:
    return plain(facets, field, facets.grouped("usage", facets.row["usage"], has_few=True))


def hard_count(_context: CompileContext, facets: Facets, _field: SelectedField) -> Parts:
    if facets.is_whole:
        row = facets.page.source()
        return number(facets.counted(row, where=row["hard"]).scalar_subquery())
    counts = facets.grouped("hard", facets.row["hard"], has_few=True).subquery()
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
