"""Rows: where they come from, and what is known of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, BigInteger, ColumnElement, FromClause, Table, Text, case, func, select
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
    sample_past,
)
from db.queries.filters.conditions import Samples
from db.queries.pagination import Order

PAST: Mapping[type[SQLModel], Table] = {Sample: sample_past, Annotation: annotation_past}
STILL = sql("9223372036854775807", BigInteger)  # `until` of a live row


@dataclass(frozen=True, slots=True)
class Pinned:
    """A published state: samples and annotations as they were at a revision, labels as they were called."""

    version_id: ColumnElement[Any]
    revision: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """The dataset that rows belong to, as it is, or `pinned` to a version. `against`: what it is compared with.

    `planned`: its id is bound, so that the planner sees it: see `Samples`.
    """

    dataset_id: ColumnElement[Any]
    planned: bool = False
    pinned: Pinned | None = None
    against: "Scope | None" = None

    def working(self) -> "Scope":
        """The same dataset as it is now."""
        return replace(self, pinned=None, against=None)


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """Rows that the statement itself makes: their columns, and the statement under a name."""

    types: Mapping[str, TypeEngine[Any]]
    made: Callable[[str], FromClause]


Model = type[SQLModel] | Derived


@dataclass(slots=True)
class Row:
    """A row under the name it has in the statement. Its columns are written as `name.column`, so a statement inside
    another may speak of the outer one's row; `joins` gathers the one-to-one tables that its fields ask for."""

    name: str
    model: Model
    scope: Scope
    is_page: bool = False  # the rows of a page, already chosen, in a table of their own
    used: set[str] = field(default_factory=set)
    joins: "dict[Model, tuple[Row, ColumnElement[bool]]]" = field(default_factory=dict)
    gathered: list[CTE] = field(default_factory=list)
    order: Order | None = None  # in which the rows are read

    def __getitem__(self, column: str) -> ColumnElement[Any]:
        self.used.add(column)
        if column == "usage" and self.pinned is not None and self.model is Sample:
            return usage_in(self.pinned, self.plain)
        return self.plain(column)

    def plain(self, column: str) -> ColumnElement[Any]:
        """The column as it is stored."""
        return sql(f"{self.name}.{column}", type_of(self.model, column))

    @property
    def pinned(self) -> Pinned | None:
        return None if self.is_page else self.scope.pinned

    def join(self, other: "Row", on: Callable[["Row"], ColumnElement[bool]]) -> "Row":
        """The row's companion in another table, one for each; the same one when asked again."""
        if other.model not in self.joins:
            self.joins[other.model] = (other, sqlalchemy.and_(on(other), *other.holds()))
        return self.joins[other.model][0]

    def origin(self) -> FromClause:
        """What to select from: the row's table under its name, with its companions."""
        table = self.table()
        for other, on in self.joins.values():
            table = table.outerjoin(other.table(), on)
        return table

    def table(self) -> FromClause:
        if self.is_page:
            return sqlalchemy.table(self.name)
        if isinstance(self.model, Derived):
            return self.model.made(self.name)
        if self.pinned is not None and self.model is Label:
            return version_labels(self.name)
        if self.pinned is not None and self.model in PAST:
            return whole_history(self.model, self.name, self._of_past)
        return table_of(self.model).alias(self.name)

    def _of_past(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A column of the past. Of what the rows are ordered by, the planner sees no index where few of the version's
        rows are in the past by now: they are better found and sorted."""
        if self.order is None or self.pinned is None or not self.scope.planned or column.key != self.order.first:
            return column
        return case((func.version_past_few(self.pinned.version_id), self.order.veiled(column)), else_=column)

    def holds(self) -> list[ColumnElement[bool]]:
        """What makes the row one of its scope's: that it was true at the version's revision."""
        if self.pinned is None or isinstance(self.model, Derived):
            return []
        if self.model is Label:
            return [sql(f"{self.name}.version_id", BigInteger) == self.pinned.version_id]
        if self.model in PAST:
            until = sql(f"{self.name}.until", BigInteger)
            return [self.plain("since") <= self.pinned.revision, until > self.pinned.revision]
        return []

    def samples(self) -> Samples:
        """As the filters see it."""
        pinned = self.pinned
        return Samples(
            column=self.__getitem__,
            dataset_id=self.scope.dataset_id,
            working_set=pinned is None,
            planned=self.scope.planned,
            version_id=None if pinned is None else pinned.version_id,
        )


def whole_history(model: Any, name: str, of_past: Callable[[Any], Any] = lambda column: column) -> FromClause:
    """Live and past rows as one. Without conditions of their own, so that the planner sees two tables and their
    indexes in it, and reads a page from both in order."""
    live, past = table_of(model), PAST[model]
    columns = [column.name for column in live.columns]
    now = select(*(live.c[column] for column in columns), STILL.label("until"))
    then = select(*(of_past(past.c[column]).label(column) for column in columns), past.c.until)
    return now.union_all(then).subquery(name)


def version_labels(name: str) -> FromClause:
    """The labels of all versions, with the columns of labels, and those of their counts."""
    kept = table_of(VersionLabel)
    return select(kept.c.label_id.label("id"), *(each for each in kept.columns if each.name != "label_id")).subquery(
        name
    )


def usage_in(pinned: Pinned, column: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
    """What a sample is for in a version: by its split; without one, what it was marked for, or training."""
    put_aside, version = table_of(VersionEval), table_of(Version)
    is_aside = (
        select(put_aside.c.sample_id)
        .where(put_aside.c.version_id == pinned.version_id, put_aside.c.sample_id == column("id"))
        .exists()
    )
    is_split = select(version.c.is_split).where(version.c.id == pinned.version_id).scalar_subquery()
    train, marked = sql("'TRAIN'", Text), sqlalchemy.func.coalesce(column("usage"), sql("'TRAIN'"))
    labelled = case((is_aside, sql("'EVAL'")), (is_split, train), else_=marked)
    return case((column("state") == sql("'LABELED'"), labelled))


def type_of(model: Model, column: str) -> TypeEngine[Any]:
    return model.types[column] if isinstance(model, Derived) else table_of(model).c[column].type


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
