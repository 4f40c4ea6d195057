from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel

from db.postgres.models.columns import bigint, boolean, id_column, text_column, timestamp


class Version(SQLModel, table=True):
    """A published revision of a working set: the samples of that revision, and their counts."""

    __tablename__ = "version"
    __table_args__ = (UniqueConstraint("dataset_id", "name", name="version_name_key"),)

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    name: str = text_column(ordered=True)
    description: str = text_column(default="''")
    revision: int = bigint()
    parent_id: int | None = bigint(references="version.id", default=None, nullable=True)
    status: str = text_column(default="'NORMAL'")
    is_split: bool = boolean(default=False)
    created_at: datetime = timestamp(default=True)
    created_by: str = text_column()
    total: int = bigint()
    labeled: int = bigint()
    pending: int = bigint()
    manifest_path: str | None = text_column(nullable=True)


class VersionLabel(SQLModel, table=True):
    """A label of a version, by its name at the time."""

    __tablename__ = "version_label"

    version_id: int = bigint(references="version.id", cascade=True, primary_key=True)
    label_id: int = bigint(primary_key=True)
    dataset_id: int = bigint(references="dataset.id")
    name: str = text_column(ordered=True)
    color: str | None = text_column(nullable=True)
    shortcut: str | None = text_column(ordered=True, nullable=True)
    sample_count: int = bigint()
    annotation_count: int = bigint()


class VersionEval(SQLModel, table=True):
    """A sample that a version's split assigned to evaluation."""

    __tablename__ = "version_eval"

    version_id: int = bigint(references="version.id", cascade=True, primary_key=True)
    sample_id: int = bigint(primary_key=True)
    dataset_id: int = bigint(references="dataset.id")


class Base(SQLModel, table=True):
    """The version that a working set is based on, and the revision at which both were equal."""

    __tablename__ = "base"

    dataset_id: int = bigint(references="dataset.id", primary_key=True)
    version_id: int | None = bigint(references="version.id", default=None, nullable=True)
    revision: int = bigint(default="0")
    named: int = bigint(default="0")


class BaseBefore(SQLModel, table=True):
    """The base of a working set before a change that switched it to a version."""

    __tablename__ = "base_before"

    change_id: int = bigint(references="change.id", cascade=True, primary_key=True)
    dataset_id: int = bigint(references="dataset.id")
    version_id: int | None = bigint(nullable=True)
    was_clean: bool
