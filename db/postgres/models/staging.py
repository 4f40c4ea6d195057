"""The staging tables of syncs and imports; plain tables, since no code reads them as objects."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import SQLModel

PATH = Text(collation="C")

sync_object = Table(
    "sync_object",
    SQLModel.metadata,
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
    prefixes=["UNLOGGED"],
)

sync_sidecar = Table(
    "sync_sidecar",
    SQLModel.metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", PATH, primary_key=True),
    Column("sidecar_path", PATH, nullable=False),
    Column("sidecar_etag", Text),
    prefixes=["UNLOGGED"],
)

sync_item = Table(
    "sync_item",
    SQLModel.metadata,
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
    prefixes=["UNLOGGED"],
)

import_line = Table(
    "import_line",
    SQLModel.metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("path", PATH),
    Column("origin", PATH),
    Column("entry", Text, nullable=False),
    Index("import_line_path", "job_id", "path"),
    prefixes=["UNLOGGED"],
)
