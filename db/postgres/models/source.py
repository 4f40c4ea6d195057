from datetime import datetime

from sqlalchemy import Boolean, Integer, SmallInteger, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, id_column, text_column, timestamp


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
    damaged: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})


class SourceDeletion(SQLModel, table=True):
    """The intent to delete an object, committed with the change that deleted its source."""

    __tablename__ = "source_deletion"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    source_id: int = bigint(references="source.id")
    change_id: int = bigint(references="change.id")
    path: str = text_column()
    etag: str = text_column()
    attempts: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    error: str | None = text_column(nullable=True)
    created_at: datetime = timestamp(default=True)
    finished_at: datetime | None = timestamp(nullable=True)
    retry_at: datetime = timestamp(default=True)
