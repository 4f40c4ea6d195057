from datetime import datetime

from sqlalchemy import Boolean, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, key, timestamp, words


class Version(SQLModel, table=True):
    """A published revision of a working set. Its samples are those that held then; its counts stand here."""

    __tablename__ = "version"
    __table_args__ = (UniqueConstraint("dataset_id", "name", name="version_name_key"),)

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    name: str = words(ordered=True)
    description: str = words(default="''")
    revision: int = big()
    parent_id: int | None = big(references="version.id", default=None, nullable=True)
    status: str = words(default="'NORMAL'")
    is_split: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = timestamp(default=True)
    created_by: str = words()
    total: int = big()
    labeled: int = big()
    pending: int = big()
    manifest_path: str | None = words(nullable=True)


class VersionLabel(SQLModel, table=True):
    """A label of a version, as it was called."""

    __tablename__ = "version_label"

    version_id: int = big(references="version.id", cascade=True, primary_key=True)
    label_id: int = big(primary_key=True)
    dataset_id: int = big(references="dataset.id")
    name: str = words(ordered=True)
    color: str | None = words(nullable=True)
    shortcut: str | None = words(ordered=True, nullable=True)
    sample_count: int = big()
    annotation_count: int = big()


class VersionEval(SQLModel, table=True):
    """A sample that a version's split put aside for evaluation."""

    __tablename__ = "version_eval"

    version_id: int = big(references="version.id", cascade=True, primary_key=True)
    sample_id: int = big(primary_key=True)
    dataset_id: int = big(references="dataset.id")


class Base(SQLModel, table=True):
    """What a working set is based on: `version_id`, to which it was equal at `revision`."""

    __tablename__ = "base"

    dataset_id: int = big(references="dataset.id", primary_key=True)
    version_id: int | None = big(references="version.id", default=None, nullable=True)
    revision: int = big(default="0")
    named: int = big(default="0")


class BaseBefore(SQLModel, table=True):
    """What a working set was based on before a change that moved it to a version."""

    __tablename__ = "base_before"

    change_id: int = big(references="change.id", cascade=True, primary_key=True)
    dataset_id: int = big(references="dataset.id")
    version_id: int | None = big(nullable=True)
    was_clean: bool
