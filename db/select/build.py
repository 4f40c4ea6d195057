"""The compiler's state: names, placeholders, and the declarations of the readable types."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from db.models import Dataset
from db.params import Inputs, Param
from db.select.rows import Derived, Model, Row, Scope
from db.select.selection import Select
from db.select.text import Part, Parts, array, assemble, constant

Field = Callable[["Build", Row, Select], Parts]
Where = Callable[[Row], Sequence[ColumnElement[bool]]]

IDS = ARRAY(BigInteger())


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
    """One statement in the making. `confined`: the identity may see some datasets only."""

    types: Mapping[str, Type]
    confined: bool
    bounds: dict[str, Bound] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)  # to the field that is being compiled, or that failed
    by_values: bool = False  # what is best depends on the values: Postgres shall plan for each execution's
    _names: int = 0
    _allowed: ColumnElement[Any] | None = None

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
            with self.at(select_.alias):
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
        kind = self.types[type_name]
        row = self.row(kind.model, scope)
        json = assemble(self.object(type_name, row, selects))
        conditions = [*where(row), *row.holds(), *kind.where(row)]
        return select(json).select_from(row.origin()).where(*conditions).scalar_subquery()

    def one_of_any(
        self, types: Sequence[str], selected: Select, where: Where, scope: Scope | None = None
    ) -> ScalarSelect[str]:
        """As `one`, of a row that is of one of several types of one table."""
        row = self.row(self.types[types[0]].model, scope)
        json = assemble(self.variants(types, row, selected))
        conditions = [*where(row), *row.holds(), self.is_any(types, row)]
        return select(json).select_from(row.origin()).where(*conditions).scalar_subquery()

    def is_any(self, types: Sequence[str], row: Row) -> ColumnElement[bool]:
        """Whether a row is of one of these types."""
        return or_(*(and_(true(), *self.types[name].where(row)) for name in types))

    def many(self, selected: Select, where: Where, scope: Scope | None = None, *, newest: bool = False) -> Parts:
        """The JSON array of all rows that meet the conditions, in the order of their making; `newest` first."""
        type_name, selects = selected.of_only_type()
        kind = self.types[type_name]
        row = self.row(kind.model, scope)
        items = array(self.object(type_name, row, selects), row["id"].desc() if newest else row["id"])
        conditions = [*where(row), *row.holds(), *kind.where(row)]
        return [select(assemble(items)).select_from(row.origin()).where(*conditions).scalar_subquery()]
