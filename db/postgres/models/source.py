from datetime import datetime

from sqlalchemy import Boolean, Integer, SmallInteger, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, key, timestamp, words


class Source(SQLModel, table=True):
    """An object in storage that a dataset knows. PRESENT without a live sample: deleted here, kept there."""

    __tablename__ = "source"

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    path: str = words(ordered=True)
    etag: str = words()
    size: int = big()
    modified_at: datetime = timestamp()
    format: str | None = words(nullable=True)
    width: int | None = Field(default=None, sa_type=Integer)
    height: int | None = Field(default=None, sa_type=Integer)
    orientation: int | None = Field(default=None, sa_type=SmallInteger)
    status: str = words(default="'PRESENT'")
    sidecar_etag: str | None = words(nullable=True)
    content_hash: str | None = words(nullable=True)
    pixel_hash: str | None = words(nullable=True)
    changed_at: datetime | None = timestamp(nullable=True)
    damaged: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})


class SourceDeletion(SQLModel, table=True):
    """The intent to delete an object, committed with the change that let go of it."""

    __tablename__ = "source_deletion"

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    source_id: int = big(references="source.id")
    change_id: int = big(references="change.id")
    path: str = words()
    etag: str = words()
    attempts: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    error: str | None = words(nullable=True)
    created_at: datetime = timestamp(default=True)
    finished_at: datetime | None = timestamp(nullable=True)
    retry_at: datetime = timestamp(default=True)
