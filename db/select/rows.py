"""Rows: where they come from, and what is known of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import CTE, ColumnElement, FromClause, Table
from sqlalchemy import literal_column as sql
from sqlmodel import SQLModel

from db.filters import Samples


@dataclass(frozen=True, slots=True)
class Scope:
    """The dataset that rows belong to. `planned`: its id is bound, so that the planner sees it: see `Samples`."""

    dataset_id: ColumnElement[Any]
    planned: bool = False


@dataclass(slots=True)
class Row:
    """A row under the name it has in the statement. Its columns are written as `name.column`, so a statement inside
    another may speak of the outer one's row; `joins` gathers the one-to-one tables that its fields ask for."""

    name: str
    model: type[SQLModel]
    scope: Scope
    is_page: bool = False  # the rows of a page, already chosen, in a table of their own
    used: set[str] = field(default_factory=set)
    joins: "dict[type[SQLModel], tuple[Row, ColumnElement[bool]]]" = field(default_factory=dict)
    gathered: list[CTE] = field(default_factory=list)

    def __getitem__(self, column: str) -> ColumnElement[Any]:
        self.used.add(column)
        return sql(f"{self.name}.{column}", table_of(self.model).c[column].type)

    def join(self, other: "Row", on: Callable[["Row"], ColumnElement[bool]]) -> "Row":
        """The row's companion in another table, one for each; the same one when asked again."""
        if other.model not in self.joins:
            self.joins[other.model] = (other, on(other))
        return self.joins[other.model][0]

    def origin(self) -> FromClause:
        """What to select from: the row's table under its name, with its companions."""
        table: FromClause = sqlalchemy.table(self.name) if self.is_page else table_of(self.model).alias(self.name)
        for other, on in self.joins.values():
            table = table.outerjoin(table_of(other.model).alias(other.name), on)
        return table

    def samples(self) -> Samples:
        """As the filters see it. Rows are the working set's; a version's rows will be told here, and in `origin`."""
        return Samples(column=self.__getitem__, dataset_id=self.scope.dataset_id, planned=self.scope.planned)


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
