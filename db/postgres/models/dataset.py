from datetime import datetime

from sqlmodel import SQLModel

from db.postgres.models.columns import bigint, id_column, text_column, text_list, timestamp


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
