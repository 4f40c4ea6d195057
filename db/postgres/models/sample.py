from datetime import datetime

from sqlalchemy import Boolean, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, big_list, key, timestamp, words
from db.postgres.models.history import past_of


class Sample(SQLModel, table=True):
    """One image of a working set, as it is now. `label_ids`: its confirmed labels, ascending, each once."""

    __tablename__ = "sample"
    __table_args__ = (
        UniqueConstraint("source_id", name="sample_source_key"),
        UniqueConstraint("dataset_id", "path", name="sample_path_key"),
    )

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    source_id: int = big(references="source.id")
    path: str = words(ordered=True)
    created_at: datetime = timestamp()
    added_at: datetime = timestamp(default=True)
    state: str = words(default="'UNLABELED'")
    label_ids: list[int] = big_list(default="'{}'")
    labeled_by: str | None = words(ordered=True, nullable=True)
    labeled_at: datetime | None = timestamp(nullable=True)
    labeled_origin: str | None = words(nullable=True)
    hard: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    usage: str | None = words(nullable=True)
    since: int = big()


sample_past = past_of(Sample)
