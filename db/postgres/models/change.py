from datetime import datetime

from sqlalchemy import Boolean, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, id_column, text_column, timestamp


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
    undoable: bool = Field(default=True, sa_type=Boolean, sa_column_kwargs={"server_default": text("true")})
    undone_by: int | None = bigint(references="change.id", default=None, nullable=True)
    job_id: int | None = bigint(nullable=True)
