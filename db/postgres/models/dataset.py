"""Datasets and their changes."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel

from db.postgres.models.columns import bigint, boolean, id_column, text_column, text_list, timestamp


class Dataset(SQLModel, table=True):
    """A dataset and the head of its working set: `revision` counts its changes, the rest counts its samples."""

    __tablename__ = "dataset"

    id: int = id_column()
    name: str = text_column(ordered=True)
    description: str = text_column(default="''")
    type: str = text_column()
    input_path: str = text_column()
    output_path: str | None = text_column(nullable=True)
    created_at: datetime = timestamp(default=True)
    updated_at: datetime = timestamp(default=True)
    created_by: str = text_column()
    deleted_at: datetime | None = timestamp(nullable=True)
    revision: int = bigint(default="0")
    total: int = bigint(default="0")
    labeled: int = bigint(default="0")
    pending: int = bigint(default="0")
    include: list[str] = text_list(default="'{}'")
    exclude: list[str] = text_list(default="'{}'")
    label_names: str = text_column(default="'STANDARD'")


class Change(SQLModel, table=True):
    """One committed operation on a working set; revisions of a dataset have no gaps."""

    __tablename__ = "change"
    __table_args__ = (UniqueConstraint("dataset_id", "revision", name="change_revision_key"),)

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    revision: int = bigint()
    kind: str = text_column()
    actor: str = text_column()
    at: datetime = timestamp(default=True)
    summary: str = text_column()
    undoable: bool = boolean(default=True)
    undone_by: int | None = bigint(references="change.id", default=None, nullable=True)
    job_id: int | None = bigint(nullable=True)
