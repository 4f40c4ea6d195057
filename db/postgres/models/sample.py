from datetime import datetime

from sqlalchemy import Boolean, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, bigint_list, id_column, text_column, timestamp
from db.postgres.models.history import past_of


class Sample(SQLModel, table=True):
    """One image of a working set, as it is now. `label_ids`: its confirmed labels, ascending, each once."""

    __tablename__ = "sample"
    __table_args__ = (
        UniqueConstraint("source_id", name="sample_source_key"),
        UniqueConstraint("dataset_id", "path", name="sample_path_key"),
    )

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    source_id: int = bigint(references="source.id")
    path: str = text_column(ordered=True)
    created_at: datetime = timestamp()
    added_at: datetime = timestamp(default=True)
    state: str = text_column(default="'UNLABELED'")
    label_ids: list[int] = bigint_list(default="'{}'")
    labeled_by: str | None = text_column(ordered=True, nullable=True)
    labeled_at: datetime | None = timestamp(nullable=True)
    labeled_origin: str | None = text_column(nullable=True)
    hard: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    usage: str | None = text_column(nullable=True)
    since: int = bigint()


sample_past = past_of(Sample)
