"""Declarations of fields that many types have."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Boolean, ColumnElement
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from db.identity.tokens import Scope
from db.queries.compile_context import CompileContext, Field, RowType, SelectedField, Where
from db.queries.json_text import NULL, Encode, Parts, boolean, nullable, text, value_or_null
from db.queries.parameters import Inputs
from db.queries.rows import Row

Link = Callable[[Row, Row], ColumnElement[bool]]  # whether another row, the first, belongs to a row


def column(name: str, encode: Encode = text, *, is_nullable: bool = False, is_list: bool = False) -> Field:
    """The column of the row."""
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda _context, row, _field: encoded(row[name]), is_nullable, is_list, name)


def value(make: Callable[[Any], ColumnElement[Any]], encode: Encode = text, *, is_nullable: bool = False) -> Field:
    """What is made of the row, or of another source."""
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda _context, source, _field: encoded(make(source)), is_nullable)


def one(link: Link, *, in_state: bool = True, is_nullable: bool = True) -> Field:
    """The one row of another table that belongs to a row. `in_state`: in the same state of the dataset."""
    return Field(
        lambda context, row, field: value_or_null(
            context.one(field.fields, lambda other: [link(other, row)], row.state if in_state else None)
        ),
        is_nullable,
    )


def many(link: Link) -> Field:
    """All rows of another table that belong to a row, by their ids."""
    return Field(
        lambda context, row, field: context.many(field.fields, lambda other: [link(other, row)], row.state),
        is_list=True,
    )


def from_request(
    type_: TypeEngine[Any],
    read: Callable[[Inputs], Any],
    encode: Encode,
    *,
    is_nullable: bool = False,
    is_list: bool = False,
) -> Field:
    """What comes with the request: plans do not depend on it."""
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda context, *_: encoded(context.input(type_, read)), is_nullable, is_list)


def permission(scope: Scope, *, unconfined: bool = False) -> Field:
    """Whether the token has the scope; if `unconfined`, for all datasets."""

    def is_given(inputs: Inputs) -> bool:
        return inputs.identity.may(scope) and not (unconfined and inputs.identity.dataset_ids is not None)

    return from_request(Boolean(), is_given, boolean)


# Fields of the same source, under a name of their own.
NESTED = Field(lambda context, source, field: context.nested(source, field.fields))


def global_id(type_name: str) -> Field:
    """Opaque to clients: see `db.queries.ids`."""
    return Field(lambda _context, row, _field: [f'"{type_name}:', row["id"], '"'])


def id_in_state(type_name: str) -> Field:
    """A global id that holds the version, if the row is one of a version."""

    def compiled(_context: CompileContext, row: Row, _field: SelectedField) -> Parts:
        version = row.state.version
        return [f'"{type_name}:', row["id"], *(() if version is None else ("@", version.version_id)), '"']

    return Field(compiled)


def node_type(name: str, model: type[SQLModel], fields: Mapping[str, Field], where: Where = lambda _row: ()) -> RowType:
    """A type whose objects have a global id, and are found by it."""
    return RowType(name, {"id": global_id(name), **fields}, where, model=model, is_node=True)


def _version(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    version = row.state.version
    if version is None:
        return [NULL]
    return value_or_null(context.one(field.fields, lambda each: [each["id"] == version.version_id]))


def _current(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The same object in the working set: the row itself, if it is there."""
    if row.state.version is None:
        return context.nested(row, field.fields)
    return value_or_null(context.one(field.fields, lambda each: [each["id"] == row["id"]], row.state.working_set()))


def versioned_type(name: str, model: type[SQLModel], fields: Mapping[str, Field]) -> RowType:
    """A type whose objects are in the working set and in versions, under different ids."""
    of_state = {"version": Field(_version, is_nullable=True), "current": Field(_current, is_nullable=True)}
    own = {"id": id_in_state(name), **of_state}
    return RowType(name, {**own, **fields}, model=model, is_node=True, is_versioned=True)


# The dataset that a row belongs to. Below a dataset it is read once, however many rows need it.
DATASET_OF_ROW = one(lambda dataset, row: dataset["id"] == row.state.dataset_id, is_nullable=False)
