"""The state of a compilation: names, placeholders, how each field is compiled, and the limit on an answer's size.

The size of a list without pages is known only when it is read. So the text of an answer is assembled only up to the
limit of an answer (`CompileContext.limited`), on every level: memory stays bounded, whatever the rows contain.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from db.errors import DomainError
from db.postgres.models import Dataset
from db.queries.json_text import Parts, array, concatenate, constant
from db.queries.parameters import Inputs, Parameter
from db.queries.rows import DatasetState, DerivedTable, Model, Row

Where = Callable[[Row], Sequence[ColumnElement[bool]]]
Selected = Mapping[str, Sequence["SelectedField"]]  # the fields of each type that a value may be of

IDS = ARRAY(BigInteger())
FULL_SHARES = 2  # so many values in one object may each be as long as the answer; of more, each gets a part


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field, the key it is answered under, its arguments, and the fields selected below it.

    `arguments`: only those that were passed. Text and numbers that come with the request are `Parameter`s; enum values
    are their names. `fields`: those of each concrete type that the field may return, in the order of the answer. One
    with the number of a `refusal` is not compiled (db/queries/refusals.py).
    """

    name: str
    alias: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fields: Selected = field(default_factory=dict)
    refusal: int | None = None

    def argument(self, name: str) -> Any:
        """An argument, or None."""
        return self.arguments.get(name)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a readable type: its JSON, given the context, what the object is made from, and the selection.

    `is_nullable`, `is_list` and `has_nullable_items` repeat what the GraphQL schema declares; the server does not start
    where they differ.
    """

    compile: Callable[["CompileContext", Any, SelectedField], Parts]
    is_nullable: bool = False
    is_list: bool = False
    column: str | None = None  # of the row that the field is made from, and nothing else
    has_nullable_items: bool = False


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A readable type. Its fields are made from a row that meets `where`, or from whatever `object` is called with."""

    name: str
    fields: Mapping[str, Field]
    where: Where = lambda _row: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowType(ObjectType):
    """A readable type with rows of its own, in the model's table. A `node` can be found by its id alone; one that
    `is_versioned` has another id in each version."""

    model: type[SQLModel]
    is_node: bool = False
    is_versioned: bool = False


Path = tuple[tuple[str, str], ...]  # to a field: types, and the aliases in them
Refusal = tuple[DomainError, Path]  # why, and the path to the field


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A value of the statement: `make` of the leaves' values; and the field it belongs to, for errors."""

    make: Callable[..., Any]
    leaves: tuple[Any, ...]
    path: Path


@dataclass(slots=True)
class CompileContext:
    """One statement under construction. `confined`: the token may see some datasets only; `page`: the largest page."""

    types: Mapping[str, ObjectType]
    confined: bool
    page: int = defaults.PAGE
    placeholders: dict[str, Placeholder] = field(default_factory=dict)
    path: list[tuple[str, str]] = field(default_factory=list)  # to the field that is being compiled
    refusals: list[Refusal] = field(default_factory=list)  # of fields with an argument that no value can make right
    custom_plan: bool = False  # the best plan depends on the values: Postgres must plan for those of each execution
    costly: bool = False  # it may read every row of a dataset
    with_embeddings: list[Path] = field(default_factory=list)  # to the fields that need what a Postgres may lack
    unbounded: int = 0  # values compiled so far whose size only their rows show; those in a checked one count as one
    _share: int = 1  # a value here may have one of so many parts of the answer
    _names: int = 0
    _allowed: ColumnElement[Any] | None = None
    _max_bytes: ColumnElement[Any] | None = None

    def bind(self, type_: TypeEngine[Any], make: Callable[..., Any], *leaves: Any) -> BindParameter[Any]:
        name = f"p{len(self.placeholders)}"
        self.placeholders[name] = Placeholder(make=make, leaves=leaves, path=tuple(self.path))
        return bindparam(name, type_=type_, unique=False)

    def input(self, type_: TypeEngine[Any], read: Callable[[Inputs], Any]) -> BindParameter[Any]:
        """A placeholder for something of the request that is no argument."""
        return self.bind(type_, lambda value: value, Parameter(read))

    def name(self, prefix: str) -> str:
        """A name that nothing else in the statement has."""
        self._names += 1
        return f"{prefix}{self._names}"

    @contextmanager
    def at(self, type_name: str, alias: str) -> Iterator[None]:
        """While this field is compiled. A refusal is noted, and the others are compiled: all that is to be refused is
        found at once."""
        self.path.append((type_name, alias))
        try:
            yield
        except DomainError as error:
            self.refusals.append((error, tuple(self.path)))
        finally:
            self.path.pop()

    # -- rows ---------------------------------------------------------------------------------------------------------

    def row(self, model: Model, state: DatasetState | None = None, *, is_page: bool = False) -> Row:
        """A row of its table, or of a page, under a new name. Without a state, its own columns say to which dataset it
        belongs. A dataset is always as it is now."""
        prefix = "page" if is_page else "d" if isinstance(model, DerivedTable) else str(model.__tablename__)[0]
        if state is not None and model is Dataset:
            state = state.working_set()
        row = Row(self.name(prefix), model, state or DatasetState(func.null()), is_page)
        if state is None:
            row.state = DatasetState(row["id" if model is Dataset else "dataset_id"])
        return row

    def is_visible(self, dataset_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the dataset exists, for this identity."""
        dataset = self.row(Dataset)
        is_visible = [*self.visible(dataset), dataset["id"] == dataset_id]
        return dataset.select(dataset["id"], where=is_visible).exists()

    def visible(self, dataset: Row) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [dataset["deleted_at"].is_(None)]
        if self.confined:
            if self._allowed is None:
                self._allowed = self.input(IDS, lambda inputs: sorted(inputs.identity.dataset_ids or ()))
            conditions.append(dataset["id"] == func.any(self._allowed))
        return conditions

    # -- JSON ---------------------------------------------------------------------------------------------------------

    def object(self, type_name: str, source: Any, fields: Sequence[SelectedField]) -> Parts:
        """The JSON object of this type, made from the `source` that its fields take: a row, in most types."""
        type_ = self.types[type_name]
        parts: Parts = []
        for each in fields:
            with self.at(type_name, each.alias), self.sharing(sum(1 for other in fields if other.fields)):
                parts.append(f'{"," if parts else "{"}"{each.alias}":')
                if each.name == "__typename":
                    parts.append(f'"{type_name}"')
                elif each.refusal is not None:
                    parts.append(f'{{"":{each.refusal}}}')
                else:
                    parts += type_.fields[each.name].compile(self, source, each)
        return [*parts, "}"] if parts else ["{}"]

    def nested(self, source: Any, selected: Selected) -> Parts:
        """The JSON object of a source; a row may be of one of several types, which their conditions distinguish."""
        if len(selected) == 1:
            [(type_name, fields)] = selected.items()
            return self.object(type_name, source, fields)
        cases = [
            (and_(*self.types[name].where(source)), concatenate(self.object(name, source, fields)))
            for name, fields in selected.items()
        ]
        return [case(*cases, else_=constant("{}"))]

    def are(self, types: Collection[str], row: Row) -> Sequence[ColumnElement[bool]]:
        """The conditions for a row of one of these types."""
        wheres = [self.types[name].where(row) for name in types]
        return wheres[0] if len(wheres) == 1 else [or_(*(and_(true(), *where) for where in wheres))]

    def row_type(self, name: str) -> RowType:
        type_ = self.types[name]
        assert isinstance(type_, RowType)
        return type_

    def one(self, selected: Selected, where: Where, state: DatasetState | None = None) -> ScalarSelect[str]:
        """The JSON of the one row that meets the conditions, or NULL. All selected types are of one table."""
        before = self.unbounded
        _, rows = self._rows("json", selected, where, state)
        return self.single(rows, before).scalar_subquery()

    def many(
        self, selected: Selected, where: Where, state: DatasetState | None = None, *, newest_first: bool = False
    ) -> Parts:
        """The JSON array of all rows that meet the conditions, by their ids."""
        before = self.unbounded
        row, rows = self._rows("item", selected, where, state)
        return [self.listed(rows.order_by(row["id"].desc() if newest_first else row["id"]), before)]

    def _rows(
        self, name: str, selected: Selected, where: Where, state: DatasetState | None
    ) -> tuple[Row, sqlalchemy.Select[Any]]:
        """A row, and the statement of all such rows with their JSON under this name."""
        row = self.row(self.row_type(next(iter(selected))).model, state)
        json = concatenate(self.nested(row, selected)).label(name)
        conditions = [*where(row), *row.conditions(), *self.are(selected, row)]
        return row, row.select(json, where=conditions)

    # -- size ---------------------------------------------------------------------------------------------------------

    def limited(self, rows: sqlalchemy.Select[Any], items: Sequence[str]) -> Subquery:
        """The same rows in the same order; their columns `items` are JSON text. The statement is stopped at the first
        row with which these are longer than an answer may be. OFFSET: Postgres makes each item once."""
        if self._max_bytes is None:
            self._max_bytes = self.input(BigInteger(), lambda inputs: inputs.limits.max_answer_bytes)
        made = rows.offset(sql("0")).subquery(self.name("made"))
        length = func.octet_length(func.concat(*(made.c[item] for item in items)))
        length = func.octet_length(made.c[items[0]]) if len(items) == 1 else length
        sized = select(made, func.sum(length).over(rows=(None, 0)).label("size")).subquery(self.name("sized"))
        is_too_long = sized.c.size * sql(str(self._share)) > self._max_bytes
        checked = [case((is_too_long, func.answer_too_long()), else_=sized.c[item]).label(item) for item in items]
        others = [sized.c[column.name] for column in made.c if column.name not in items]
        return select(*others, *checked).subquery(self.name("within"))

    def listed(self, rows: sqlalchemy.Select[Any], before: int) -> ScalarSelect[str]:
        """The JSON array of the column `item` of these rows. `before`: how many values were unbounded before it."""
        self.unbounded = before + 1
        limited = self.limited(rows, ["item"])
        return select(concatenate(array([limited.c.item]))).select_from(limited).scalar_subquery()

    def single(self, rows: sqlalchemy.Select[Any], before: int) -> sqlalchemy.Select[Any]:
        """The column `json` of one row; where it has several unbounded values, their sum is checked."""
        if self.unbounded - before < 2:
            return rows
        self.unbounded = before + 1
        return select(self.limited(rows, ["json"]).c.json)

    @contextmanager
    def sharing(self, values: int) -> Iterator[None]:
        """While one of so many values of one object is compiled."""
        outside = self._share
        self._share *= max(1, -(-values // FULL_SHARES))
        try:
            yield
        finally:
            self._share = outside
