"""The compiler's state: names, placeholders, and the declarations of the readable types.

Nobody knows the size of a list without pages before it is read. So the text of an answer is put together only as far
as an answer may be long (`Build.within`), on every level: memory stays bounded, whatever the rows hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
)
from sqlalchemy import literal_column as sql
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from db import defaults
from db.postgres.models import Dataset
from db.queries.json_text import Part, Parts, array, assemble, constant
from db.queries.parameters import Inputs, Param
from db.queries.rows import Derived, Model, Row, Scope
from db.queries.selection import Select

Field = Callable[["Build", Row, Select], Parts]
Where = Callable[[Row], Sequence[ColumnElement[bool]]]

IDS = ARRAY(BigInteger())
FULL_SHARES = 2  # so many values in one object may each be as long as the answer; of more, each gets a part


@dataclass(frozen=True, slots=True)
class Type:
    """A readable type: what each of its fields is, given the row. A `node` can be found by its id alone."""

    name: str
    model: type[SQLModel]
    fields: Mapping[str, Field]
    is_node: bool = False
    where: Where = lambda _row: ()


@dataclass(frozen=True, slots=True)
class Bound:
    """A placeholder: what is bound to it, made of leaves; and the field it belongs to, for errors."""

    make: Callable[..., Any]
    leaves: tuple[Any, ...]
    path: tuple[str, ...]


@dataclass(slots=True)
class Build:
    """One statement in the making. `confined`: the identity may see some datasets only; `page`: the largest page."""

    types: Mapping[str, Type]
    confined: bool
    page: int = defaults.PAGE
    bounds: dict[str, Bound] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)  # to the field that is being compiled, or that failed
    by_values: bool = False  # what is best depends on the values: Postgres shall plan for each execution's
    costly: bool = False  # it may read every row of a dataset
    unbounded: int = 0  # values compiled so far whose size only their rows tell; those in a checked one count as one
    _share: int = 1  # a value here may have one of so many parts of the answer
    _names: int = 0
    _allowed: ColumnElement[Any] | None = None
    _most: ColumnElement[Any] | None = None

    def bind(self, kind: TypeEngine[Any], make: Callable[..., Any], *leaves: Any) -> BindParameter[Any]:
        name = f"p{len(self.bounds)}"
        self.bounds[name] = Bound(make=make, leaves=leaves, path=tuple(self.path))
        return bindparam(name, type_=kind, unique=False)

    def input(self, kind: TypeEngine[Any], read: Callable[[Inputs], Any]) -> BindParameter[Any]:
        """A placeholder for something of the request that is no argument."""
        return self.bind(kind, lambda value: value, Param(read))

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    @contextmanager
    def at(self, alias: str) -> Iterator[None]:
        self.path.append(alias)
        yield
        self.path.pop()

    # -- rows ---------------------------------------------------------------------------------------------------------

    def row(self, model: Model, scope: Scope | None = None) -> Row:
        """A row in its own table, under a new name. Without a scope it says itself which dataset it belongs to. A
        dataset is always as it is now."""
        prefix = "d" if isinstance(model, Derived) else str(model.__tablename__)[0]
        if scope is not None and model is Dataset:
            scope = scope.working()
        row = Row(self.name(prefix), model, scope or Scope(func.null()))
        if scope is None:
            row.scope = Scope(row["id" if model is Dataset else "dataset_id"])
        return row

    def is_visible(self, dataset_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the dataset is there, for this identity."""
        dataset = self.row(Dataset)
        there = select(dataset["id"]).select_from(dataset.origin()).where(*self.visible(dataset))
        return there.where(dataset["id"] == dataset_id).exists()

    def visible(self, dataset: Row) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [dataset["deleted_at"].is_(None)]
        if self.confined:
            if self._allowed is None:
                self._allowed = self.input(IDS, lambda inputs: sorted(inputs.identity.dataset_ids or ()))
            conditions.append(dataset["id"] == func.any(self._allowed))
        return conditions

    # -- JSON ---------------------------------------------------------------------------------------------------------

    def object(self, type_name: str, row: Row, selects: Sequence[Select]) -> Parts:
        kind = self.types[type_name]
        return self.fields(type_name, selects, lambda select: kind.fields[select.name](self, row, select))

    def variants(self, types: Sequence[str], row: Row, selected: Select) -> Parts:
        """The JSON of a row that is of one of several types, which their conditions tell apart."""
        found = [
            (and_(*self.types[name].where(row)), assemble(self.object(name, row, selected.fields[name])))
            for name in types
            if name in selected.fields
        ]
        return [case(*found, else_=constant("{}"))] if found else ["{}"]

    def fields(self, type_name: str, selects: Sequence[Select], part: Callable[[Select], Sequence[Part]]) -> Parts:
        """An object of any kind: `part` gives the JSON of each field."""
        parts: Parts = []
        for select_ in selects:
            with self.at(select_.alias), self.sharing(sum(1 for each in selects if each.fields)):
                parts.append(f'{"," if parts else "{"}"{select_.alias}":')
                parts += [f'"{type_name}"'] if select_.name == "__typename" else part(select_)
        return [*parts, "}"] if parts else ["{}"]

    def one(self, selected: Select, where: Where, scope: Scope | None = None) -> ScalarSelect[str]:
        """The JSON of the one row that meets the conditions, or NULL."""
        type_name, selects = selected.of_only_type()
        return self.one_of(type_name, selects, where, scope)

    def one_of(
        self, type_name: str, selects: Sequence[Select], where: Where, scope: Scope | None = None
    ) -> ScalarSelect[str]:
        kind, before = self.types[type_name], self.unbounded
        row = self.row(kind.model, scope)
        json = assemble(self.object(type_name, row, selects)).label("json")
        conditions = [*where(row), *row.holds(), *kind.where(row)]
        return self.single(select(json).select_from(row.origin()).where(*conditions), before).scalar_subquery()

    def one_of_any(
        self, types: Sequence[str], selected: Select, where: Where, scope: Scope | None = None
    ) -> ScalarSelect[str]:
        """As `one`, of a row that is of one of several types of one table."""
        row, before = self.row(self.types[types[0]].model, scope), self.unbounded
        json = assemble(self.variants(types, row, selected)).label("json")
        conditions = [*where(row), *row.holds(), self.is_any(types, row)]
        return self.single(select(json).select_from(row.origin()).where(*conditions), before).scalar_subquery()

    def is_any(self, types: Sequence[str], row: Row) -> ColumnElement[bool]:
        """Whether a row is of one of these types."""
        return or_(*(and_(true(), *self.types[name].where(row)) for name in types))

    def many(self, selected: Select, where: Where, scope: Scope | None = None, *, newest: bool = False) -> Parts:
        """The JSON array of all rows that meet the conditions, in the order of their making; `newest` first."""
        type_name, selects = selected.of_only_type()
        kind, before = self.types[type_name], self.unbounded
        row = self.row(kind.model, scope)
        item = assemble(self.object(type_name, row, selects)).label("item")
        conditions = [*where(row), *row.holds(), *kind.where(row)]
        rows = select(item).select_from(row.origin()).where(*conditions)
        return [self.listed(rows.order_by(row["id"].desc() if newest else row["id"]), before)]

    # -- size ---------------------------------------------------------------------------------------------------------

    def within(self, rows: sqlalchemy.Select[Any], items: Sequence[str]) -> Subquery:
        """The same rows in the same order; their columns `items` are JSON text. The statement is stopped at the first
        row with which these are longer than an answer may be. OFFSET: Postgres makes each item once."""
        if self._most is None:
            self._most = self.input(BigInteger(), lambda inputs: inputs.limits.max_answer_bytes)
        made = rows.offset(sql("0")).subquery(self.name("made"))
        length = func.octet_length(func.concat(*(made.c[item] for item in items)))
        length = func.octet_length(made.c[items[0]]) if len(items) == 1 else length
        sized = select(made, func.sum(length).over(rows=(None, 0)).label("size")).subquery(self.name("sized"))
        is_too_long = sized.c.size * sql(str(self._share)) > self._most
        checked = [case((is_too_long, func.answer_too_long()), else_=sized.c[item]).label(item) for item in items]
        others = [sized.c[column.name] for column in made.c if column.name not in items]
        return select(*others, *checked).subquery(self.name("within"))

    def listed(self, rows: sqlalchemy.Select[Any], before: int) -> ScalarSelect[str]:
        """The JSON array of the column `item` of these rows. `before`: how many values were unbounded before it."""
        self.unbounded = before + 1
        found = self.within(rows, ["item"])
        return select(assemble(array([found.c.item]))).select_from(found).scalar_subquery()

    def single(self, rows: sqlalchemy.Select[Any], before: int) -> sqlalchemy.Select[Any]:
        """The column `json` of one row; where it holds several unbounded values, their sum is checked."""
        if self.unbounded - before < 2:
            return rows
        self.unbounded = before + 1
        return select(self.within(rows, ["json"]).c.json)

    @contextmanager
    def sharing(self, values: int) -> Iterator[None]:
        """While one of so many values of one object is compiled."""
        outside = self._share
        self._share *= max(1, -(-values // FULL_SHARES))
        yield
        self._share = outside
