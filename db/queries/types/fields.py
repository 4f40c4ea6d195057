"""Fields that many types have."""

from collections.abc import Mapping

from sqlalchemy import func
from sqlmodel import SQLModel

from db.queries.compile_context import CompileContext, Field, RowType, Where
from db.queries.json_text import NULL, Encode, Parts, nullable, text
from db.queries.rows import Row
from db.queries.selection import SelectedField


def column(name: str, encode: Encode = text, *, is_nullable: bool = False, is_list: bool = False) -> Field:
    """The column of the row."""
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda _context, row, _field: encoded(row[name]), is_nullable, is_list, name)


def global_id(type_name: str, column_name: str = "id") -> Field:
    """`Type:number`, opaque to clients."""
    return Field(lambda _context, row, _field: [f'"{type_name}:', row[column_name], '"'])


def node_type(name: str, model: type[SQLModel], fields: Mapping[str, Field], where: Where = lambda _row: ()) -> RowType:
    """A type whose objects have a global id, and are found by it."""
    return RowType(name, {"id": global_id(name), **fields}, model, is_node=True, where=where)


def _dataset(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The dataset that a row belongs to. Below a dataset it is read once, however many rows need it."""
    json = context.one(field, lambda each: [each["id"] == row.state.dataset_id], row.state)
    return [func.coalesce(json, NULL)]


DATASET_OF_ROW = Field(_dataset)
