"""Rows of a statement: the tables they come from, and their columns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, BigInteger, ColumnElement, FromClause, Select, Table, Text, case, func, select
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from db.postgres.models import (
    Annotation,
    Label,
    Sample,
    Version,
    VersionEval,
    VersionLabel,
    annotation_past,
    sample_past_published,
)
from db.queries.pagination import Order

# What versions show of the past.
PAST: Mapping[type[SQLModel], Table] = {Sample: sample_past_published, Annotation: annotation_past}
LIVE_UNTIL = sql("9223372036854775807", BigInteger)  # `until` of a live row


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A published state: samples and annotations as they were at a revision, labels with the names they had."""

    version_id: ColumnElement[Any]
    revision: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class DatasetState:
    """The dataset that rows belong to: its working set, or a published `version`. `base`: what it is compared with.

    `is_bound`: its id is a bound value, so that Postgres plans for its value, with the value of each execution.
    `looked_up`: the id as a subquery, where `dataset_id` is a function that finds it.
    """

    dataset_id: ColumnElement[Any]
    is_bound: bool = False
    version: PublishedVersion | None = None
    base: "DatasetState | None" = None
    looked_up: ColumnElement[Any] | None = None

    @property
    def unplanned_id(self) -> ColumnElement[Any]:
        """The id, for what is best read in the same way of every dataset: a plan for all values calls the function
        wherever it stands, which takes as long as all else of a small read, and a subquery is read once."""
        return self.dataset_id if self.looked_up is None else self.looked_up

    def working_set(self) -> "DatasetState":
        return replace(self, version=None, base=None)


@dataclass(frozen=True, slots=True, eq=False)
class DerivedTable:
    """Rows that the statement itself makes: their columns, and the statement under a name."""

    types: Mapping[str, TypeEngine[Any]]
    source: Callable[[str], FromClause]


Model = type[SQLModel] | DerivedTable


@dataclass(slots=True)
class Row:
    """A row under the name it has in the statement. Its columns are written as `name.column`, so a subquery may refer
    to a row of the outer statement; `joins` collects the one-to-one tables that its fields need."""

    name: str
    model: Model
    state: DatasetState
    is_page: bool = False  # the rows of a page, selected already, in a table of their own
    used: set[str] = field(default_factory=set)
    joins: "dict[Model, tuple[Row, ColumnElement[bool]]]" = field(default_factory=dict)
    sources: dict[str, tuple[FromClause, ColumnElement[bool]]] = field(default_factory=dict)  # what orders it
    tables: list[CTE] = field(default_factory=list)  # that its fields add to the statement
    order: Order | None = None  # in which the rows are read
    descending: bool = False  # whether in its descending direction
    is_rest: bool = False  # one of those that the order has no value for, which come last

    def __getitem__(self, column: str) -> ColumnElement[Any]:
        self.used.add(column)
        if column == "usage" and self.version is not None and self.model is Sample:
            return usage_in(self.version, self.stored)
        return self.stored(column)

    def stored(self, column: str) -> ColumnElement[Any]:
        """The column as it is stored."""
        model = self.model
        type_ = model.types[column] if isinstance(model, DerivedTable) else table_of(model).c[column].type
        return sql(f"{self.name}.{column}", type_)

    @property
    def version(self) -> PublishedVersion | None:
        return None if self.is_page else self.state.version

    def join(self, other: "Row", on: Callable[["Row"], ColumnElement[bool]]) -> "Row":
        """The one row of another table that belongs to this row; joined once, however often it is needed."""
        if other.model not in self.joins:
            self.joins[other.model] = (other, sqlalchemy.and_(on(other), *other.conditions()))
        return self.joins[other.model][0]

    def selected(self, name: str) -> ColumnElement[Any]:
        """A value that the rows of a page were selected with."""
        return sql(f"{self.name}.{name}")

    def origin(self) -> FromClause:
        """What to select from: the row's table under its name, with the joined tables. Those that order it have a row
        for each of its own, so that they may be read first."""
        table = self.table()
        for source, on in self.sources.values():
            table = table.join(source, on)
        for other, on in self.joins.values():
            table = table.outerjoin(other.table(), on)
        return table

    def select(self, *columns: ColumnElement[Any], where: Iterable[ColumnElement[bool]] = ()) -> Select[Any]:
        """The columns of all such rows that meet the conditions."""
        return select(*columns).select_from(self.origin()).where(*where)

    def table(self) -> FromClause:
        if self.is_page:
            return sqlalchemy.table(self.name)
        if isinstance(self.model, DerivedTable):
            return self.model.source(self.name)
        if self.version is not None and self.model is Label:
            return version_labels(self.name)
        if self.version is not None and self.model in PAST:
            return all_revisions(self.model, self.name, self._past_column)
        return table_of(self.model).alias(self.name)

    def _past_column(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A column of the past. The index of the column that the rows are ordered by is hidden from the planner where
        few of the version's rows are past by now: they are better found and sorted."""
        if self.order is None or self.version is None or not self.state.is_bound or column.key != self.order.column:
            return column
        without_index = self.order.keys[0].type.without_index
        return case((func.version_past_few(self.version.version_id), without_index(column)), else_=column)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What makes the row one of its state's: that it existed at the version's revision."""
        if self.version is None or isinstance(self.model, DerivedTable):
            return []
        if self.model is Label:
            return [sql(f"{self.name}.version_id", BigInteger) == self.version.version_id]
        if self.model in PAST:
            until = sql(f"{self.name}.until", BigInteger)
            return [self.stored("since") <= self.version.revision, until > self.version.revision]
        return []


def all_revisions(
    model: Any, name: str, past_column: Callable[[Any], Any] = lambda column: column, *, past: Table | None = None
) -> FromClause:
    """Live and past rows as one; of the past those that versions show, unless it is given. Without conditions of their
    own, so that the planner sees two tables and their indexes in it, and reads a page from both in order."""
    live, past = table_of(model), PAST[model] if past is None else past
    columns = [column.name for column in live.columns]
    now = select(*(live.c[column] for column in columns), LIVE_UNTIL.label("until"))
    then = select(*(past_column(past.c[column]).label(column) for column in columns), past.c.until)
    return now.union_all(then).subquery(name)


def version_labels(name: str) -> FromClause:
    """The labels of all versions, with the columns of labels, and those of their counts."""
    table = table_of(VersionLabel)
    others = (column for column in table.columns if column.name != "label_id")
    return select(table.c.label_id.label("id"), *others).subquery(name)


def usage_in(version: PublishedVersion, column: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
    """What a sample is for in a version: by its split; without one, its own usage, or training."""
    evaluation, versions = table_of(VersionEval), table_of(Version)
    of_split = (evaluation.c.version_id == version.version_id, evaluation.c.sample_id == column("id"))
    is_aside = select(evaluation.c.sample_id).where(*of_split).exists()  # which the index knows, for every sample
    aside = select(evaluation.c.usage).where(*of_split).scalar_subquery()
    is_split = select(versions.c.is_split).where(versions.c.id == version.version_id).scalar_subquery()
    train, own = sql("'TRAIN'", Text), func.coalesce(column("usage"), sql("'TRAIN'"))
    labelled = case((is_aside, aside), (is_split, train), else_=own)
    return case((column("state") == sql("'LABELED'"), labelled))


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
