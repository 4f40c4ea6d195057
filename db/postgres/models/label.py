from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel

from db.postgres.models.columns import bigint, id_column, text_column
from db.postgres.models.history import past_of


class Label(SQLModel, table=True):
    """A name of a dataset, as it is now."""

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("dataset_id", "name", name="label_name_key", deferrable=True, initially="IMMEDIATE"),
        UniqueConstraint("dataset_id", "shortcut", name="label_shortcut_key", deferrable=True, initially="IMMEDIATE"),
    )

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    name: str = text_column(ordered=True)
    color: str | None = text_column(nullable=True)
    shortcut: str | None = text_column(ordered=True, nullable=True)
    since: int = bigint()


label_past = past_of(Label)


class LabelCount(SQLModel, table=True):
    """How many samples of the working set carry a label, and by how many confirmed annotations."""

    __tablename__ = "label_count"

    label_id: int = bigint(primary_key=True)
    sample_count: int = bigint(default="0")
    annotation_count: int = bigint(default="0")
