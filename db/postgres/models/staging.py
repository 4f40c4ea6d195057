"""The staging tables of syncs and imports; plain tables, since no code reads them as objects."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import SQLModel

PATH = Text(collation="C")


def _table(name: str, *items: Column[Any] | Index) -> Table:
    return Table(name, SQLModel.metadata, *items, prefixes=["UNLOGGED"])


sync_object = _table(
    "sync_object",
    Column("job_id", BigInteger, nullable=False),
    Column("path", PATH, nullable=False),
    Column("sidecar", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified_at", DateTime(timezone=True), nullable=False),
    Column("etag", Text),
    Column("changed_at", DateTime(timezone=True)),
    Column("keys", ARRAY(PATH), nullable=False),
    Column("reason", Text),
    Index("sync_object_job", "job_id"),
)

sync_sidecar = _table(
    "sync_sidecar",
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", PATH, primary_key=True),
    Column("sidecar_path", PATH, nullable=False),
    Column("sidecar_etag", Text),
)

sync_item = _table(
    "sync_item",
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("action", Text, nullable=False),
    Column("path", PATH, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified_at", DateTime(timezone=True), nullable=False),
    Column("etag", Text),
    Column("source_id", BigInteger),
    Column("sidecar_path", PATH),
    Column("sidecar_etag", Text),
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    Column("changed_at", DateTime(timezone=True)),
    Column("sidecar_due", Boolean, nullable=False, server_default=text("false")),
    Column("content", Text),
    Column("pixels", Text),
    Column("old_content", Text),
    Column("old_size", BigInteger),
    Column("old_pixels", Text),
    Column("inspect_first", Boolean, nullable=False, server_default=text("false")),
    Column("image", JSONB),
)

import_line = _table(
    "import_line",
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("path", PATH),
    Column("origin", PATH),
    Column("entry", Text, nullable=False),
    Index("import_line_path", "job_id", "path"),
)
