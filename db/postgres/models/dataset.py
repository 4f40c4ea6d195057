from datetime import datetime

from sqlmodel import SQLModel

from db.postgres.models.columns import big, key, timestamp, word_list, words


class Dataset(SQLModel, table=True):
    """A dataset and the head of its working set: `revision` counts its changes, the rest counts its samples."""

    __tablename__ = "dataset"

    id: int = key()
    name: str = words(ordered=True)
    description: str = words(default="''")
    type: str = words()
    input_path: str = words()
    output_path: str | None = words(nullable=True)
    created_at: datetime = timestamp(default=True)
    updated_at: datetime = timestamp(default=True)
    created_by: str = words()
    deleted_at: datetime | None = timestamp(nullable=True)
    revision: int = big(default="0")
    total: int = big(default="0")
    labeled: int = big(default="0")
    pending: int = big(default="0")
    include: list[str] = word_list(default="'{}'")
    exclude: list[str] = word_list(default="'{}'")
    label_names: str = words(default="'STANDARD'")
