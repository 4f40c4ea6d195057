from datetime import datetime

from sqlalchemy import Boolean, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, key, timestamp, words


class Change(SQLModel, table=True):
    """One committed operation on a working set; revisions of a dataset have no gaps."""

    __tablename__ = "change"
    __table_args__ = (UniqueConstraint("dataset_id", "revision", name="change_revision_key"),)

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    revision: int = big()
    kind: str = words()
    actor: str = words()
    at: datetime = timestamp(default=True)
    summary: str = words()
    undoable: bool = Field(default=True, sa_type=Boolean, sa_column_kwargs={"server_default": text("true")})
    undone_by: int | None = big(references="change.id", default=None, nullable=True)
    job_id: int | None = big(nullable=True)
