"""Labels, samples and annotations as they are now, and their past rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Double, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, bigint_list, boolean, id_column, json, text_column, timestamp


def past_of(model: type[SQLModel]) -> Table:
    """The rows as they were from revision `since` until, and not including, revision `until`.

    They refer to nothing: what they name may be gone.
    """
    table: Table = model.__table__  # type: ignore[attr-defined]
    columns = [Column(each.name, each.type, nullable=each.nullable) for each in table.columns]
    until = Column("until", BigInteger, nullable=False)
    return Table(f"{table.name}_past", table.metadata, *columns, until, PrimaryKeyConstraint("id", "since"))


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
    hard: bool = boolean(default=False)
    usage: str | None = text_column(nullable=True)
    since: int = bigint()


sample_past = past_of(Sample)


class Annotation(SQLModel, table=True):
    """A label of a sample, as it is now; with a shape in detection and segmentation datasets."""

    __tablename__ = "annotation"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    sample_id: int = bigint(references="sample.id")
    label_id: int = bigint(references="label.id")
    labeled_by: str = text_column()
    labeled_at: datetime = timestamp(default=True)
    origin: str = text_column()
    confidence: float | None = Field(default=None, sa_type=Double)
    confirmed: bool = boolean(default=True)
    shape: dict[str, Any] | None = json(nullable=True)
    since: int = bigint()
    attributes: dict[str, Any] | None = json(nullable=True)


annotation_past = past_of(Annotation)
