from datetime import datetime

from sqlalchemy import Boolean, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, id_column, text_column, timestamp


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
    create_missing: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    on_conflict: str = text_column()
    path: str = text_column(ordered=True)
    staged: str = text_column()
    expires_at: datetime = timestamp()
    sweep_at: datetime = timestamp()
    cleared: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    sample_id: int | None = bigint(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error: str | None = text_column(nullable=True)
    finished_at: datetime | None = timestamp(nullable=True)
    generation: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
