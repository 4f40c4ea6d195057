"""Objects in storage: sources, their deletions, and uploads."""

from datetime import datetime

from sqlalchemy import Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, boolean, id_column, integer, text_column, timestamp


class Source(SQLModel, table=True):
    """An object in storage that a dataset knows. PRESENT without a sample: that was deleted, its file not."""

    __tablename__ = "source"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    path: str = text_column(ordered=True)
    etag: str = text_column()
    size: int = bigint()
    modified_at: datetime = timestamp()
    format: str | None = text_column(nullable=True)
    width: int | None = Field(default=None, sa_type=Integer)
    height: int | None = Field(default=None, sa_type=Integer)
    orientation: int | None = Field(default=None, sa_type=SmallInteger)
    status: str = text_column(default="'PRESENT'")
    sidecar_etag: str | None = text_column(nullable=True)
    content_hash: str | None = text_column(nullable=True)
    pixel_hash: str | None = text_column(nullable=True)
    changed_at: datetime | None = timestamp(nullable=True)
    damaged: bool = boolean(default=False)


class SourceDeletion(SQLModel, table=True):
    """The intent to delete an object, committed with the change that deleted its source."""

    __tablename__ = "source_deletion"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    source_id: int = bigint(references="source.id")
    change_id: int = bigint(references="change.id")
    path: str = text_column()
    etag: str = text_column()
    attempts: int = integer(default=0)
    error: str | None = text_column(nullable=True)
    created_at: datetime = timestamp(default=True)
    finished_at: datetime | None = timestamp(nullable=True)
    retry_at: datetime = timestamp(default=True)


class Upload(SQLModel, table=True):
    """A file that a client writes to storage itself, under a key of its own."""

    __tablename__ = "upload"
    __table_args__ = (
        UniqueConstraint("dataset_id", "key", name="upload_key_key"),
        UniqueConstraint("staged", name="upload_staged_key"),
    )

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    key: str = text_column(ordered=True)
    file_name: str = text_column()
    size: int = bigint()
    labels: list[str] = Field(
        default=None, nullable=False, sa_type=ARRAY(Text), sa_column_kwargs={"server_default": text("'{}'")}
    )
    create_missing: bool = boolean(default=False)
    on_conflict: str = text_column()
    path: str = text_column(ordered=True)
    staged: str = text_column()
    expires_at: datetime = timestamp()
    sweep_at: datetime = timestamp()
    cleared: bool = boolean(default=False)
    sample_id: int | None = bigint(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error: str | None = text_column(nullable=True)
    finished_at: datetime | None = timestamp(nullable=True)
    generation: int = integer(default=0)
