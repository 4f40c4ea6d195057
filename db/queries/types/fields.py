"""Declarations of fields that many types have."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import SQLModel

from db.queries.compile_context import Field, RowType, Where
from db.queries.json_text import Encode, nullable, text, value_or_null
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


# Fields of the same source, under a name of their own.
NESTED = Field(lambda context, source, field: context.nested(source, field.fields))


def global_id(type_name: str, column_name: str = "id") -> Field:
    """`Type:number`, opaque to clients."""
    return Field(lambda _context, row, _field: [f'"{type_name}:', row[column_name], '"'])


def node_type(name: str, model: type[SQLModel], fields: Mapping[str, Field], where: Where = lambda _row: ()) -> RowType:
    """A type whose objects have a global id, and are found by it."""
    return RowType(name, {"id": global_id(name), **fields}, where, model=model, is_node=True)


# The dataset that a row belongs to. Below a dataset it is read once, however many rows need it.
DATASET_OF_ROW = one(lambda dataset, row: dataset["id"] == row.state.dataset_id, is_nullable=False)
