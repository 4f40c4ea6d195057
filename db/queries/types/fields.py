"""The common shapes of fields."""

from sqlalchemy import func
from sqlalchemy import literal_column as sql

from db.queries.compile_context import Build, Field
from db.queries.json_text import Encode, Parts, text
from db.queries.rows import Row
from db.queries.selection import Select


def column(name: str, encode: Encode = text) -> Field:
    return lambda _build, row, _select: encode(row[name])


def global_id(type_name: str) -> Field:
    """`Type:number`, opaque to clients."""
    return lambda _build, row, _select: [f'"{type_name}:', row["id"], '"']


def dataset(build: Build, row: Row, select: Select) -> Parts:
    """The dataset that a row belongs to. Below a dataset it is read once, however many rows ask for it."""
    found = build.one(select, lambda each: [each["id"] == row.scope.dataset_id], row.scope)
    return [func.coalesce(found, sql("'null'"))]
