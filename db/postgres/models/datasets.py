"""Datasets, their samples, labels and annotations, their history and versions, and who may use them."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
)
from sqlalchemy import Text as TextType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import (
    BIGINT,
    DOUBLE,
    FACETS_KEY,
    GENERATED_TEXT,
    JSON,
    KEY,
    LABELS_KEY,
    ORDERED_TEXT,
    REALS,
    TEXT,
    TEXTS,
    TIMESTAMP,
    assigned_key,
    metadata,
)


class Dataset(SQLModel, table=True):
    """A dataset and the head of its working set: `revision` counts its changes, the rest counts its samples."""

    id: int = assigned_key()
    name: str = ORDERED_TEXT
    description: str = TEXT
    type: str = TEXT
    input_path: str = TEXT
    output_path: str | None = TEXT
    created_at: datetime = TIMESTAMP
    updated_at: datetime = TIMESTAMP
    created_by: str = TEXT
    deleted_at: datetime | None = TIMESTAMP
    revision: int = BIGINT
    total: int = BIGINT
    labeled: int = BIGINT
    pending: int = BIGINT
    include: list[str] = TEXTS
    exclude: list[str] = TEXTS
    label_names: str = TEXT
    image_formats: list[str] = TEXTS
    compares_looks: bool


ChangeKind = Literal[
    "CREATE_LABELS",
    "UPDATE_LABEL",
    "RENAME_LABEL",
    "MERGE_LABELS",
    "DELETE_LABELS",
    "LABEL_SAMPLES",
    "REPLACE_SAMPLE_LABEL",
    "ANNOTATE_SAMPLES",
    "SUGGEST_ANNOTATIONS",
    "DECIDE_SUGGESTIONS",
    "UPDATE_SAMPLES",
    "DELETE_SAMPLES",
    "UPLOAD_SAMPLES",
    "SYNC",
    "IMPORT",
    "SET_CURRENT_VERSION",
    "UNDO",
]


class Change(SQLModel, table=True):
    """One committed operation on a working set; revisions of a dataset have no gaps."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    revision: int = BIGINT
    kind: str = TEXT
    actor: str = TEXT
    at: datetime = TIMESTAMP
    summary: str = TEXT
    undoable: bool
    undone_by: int | None = BIGINT
    job_id: int | None = BIGINT


class Source(SQLModel, table=True):
    """An object in storage that a dataset knows. PRESENT without a sample: that was deleted, its file not."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    path: str = ORDERED_TEXT
    etag: str = TEXT
    size: int = BIGINT
    modified_at: datetime = TIMESTAMP
    format: str | None = TEXT
    width: int | None
    height: int | None
    orientation: int | None = Field(sa_type=SmallInteger)
    status: str = TEXT
    sidecar_etag: str | None = TEXT
    content_hash: str | None = TEXT
    pixel_hash: str | None = TEXT
    changed_at: datetime | None = TIMESTAMP
    damaged: bool


class Label(SQLModel, table=True):
    """A name of a dataset, as it is now."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    name: str = ORDERED_TEXT
    color: str | None = TEXT
    shortcut: str | None = ORDERED_TEXT
    since: int = BIGINT


class LabelCount(SQLModel, table=True):
    """How many samples of the working set carry a label, by how many confirmed annotations, and how many suggestions
    there are of it."""

    __tablename__ = "label_count"

    label_id: int = KEY
    sample_count: int = BIGINT
    annotation_count: int = BIGINT
    suggestion_count: int = BIGINT


class Sample(SQLModel, table=True):
    """One image of a working set, as it is now. `label_ids`: its confirmed labels, ascending, each once.

    Made by the database: `path_order`, whose code point order is the natural order of paths; and two numbers that stand
    for what facets count, `labels_key` for the labels and `facets_key` for the rest. `suggestion_…`: how sure models
    are of it, as the function `suggestion_scores` says; null without suggestions.
    """

    id: int = assigned_key()
    dataset_id: int = BIGINT
    source_id: int = BIGINT
    path: str = ORDERED_TEXT
    created_at: datetime = TIMESTAMP
    added_at: datetime = TIMESTAMP
    state: str = TEXT
    label_ids: list[int] = Field(sa_type=ARRAY(BigInteger))
    labeled_by: str | None = ORDERED_TEXT
    labeled_at: datetime | None = TIMESTAMP
    labeled_origin: str | None = TEXT
    hard: bool
    usage: str | None = TEXT
    since: int = BIGINT
    path_order: str | None = GENERATED_TEXT
    labels_key: int | None = LABELS_KEY
    facets_key: int | None = FACETS_KEY
    suggestion_confidence: float | None = DOUBLE
    suggestion_margin: float | None = DOUBLE
    suggestion_entropy: float | None = DOUBLE
    suggestion_disagreement: float | None = DOUBLE
    suggestion_conflict: float | None = DOUBLE
    suggestion_lowest: float | None = DOUBLE


class Annotation(SQLModel, table=True):
    """A label of a sample, as it is now; with a shape in detection and segmentation datasets."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    sample_id: int = BIGINT
    label_id: int = BIGINT
    labeled_by: str = TEXT
    labeled_at: datetime = TIMESTAMP
    origin: str = TEXT
    confidence: float | None = DOUBLE
    confirmed: bool
    shape: dict[str, Any] | None = JSON
    since: int = BIGINT
    attributes: dict[str, Any] | None = JSON
    model_id: int | None = BIGINT  # that suggested it
    sample_created_at: datetime | None = TIMESTAMP  # of a suggestion


class Model(SQLModel, table=True):
    """A version of a model that has suggested annotations in a dataset."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    name: str = ORDERED_TEXT
    version: str = ORDERED_TEXT
    created_at: datetime = TIMESTAMP
    suggested_at: datetime = TIMESTAMP


class SuggestionCount(SQLModel, table=True):
    """How many suggestions of a label by a model wait for people, and what came of the others."""

    __tablename__ = "suggestion_count"

    label_id: int = KEY
    model_id: int = KEY
    pending: int = BIGINT
    accepted: int = BIGINT
    rejected: int = BIGINT
    corrected: int = BIGINT


def past_of(model: type[SQLModel], partition: str = "", *more: Column[Any]) -> Table:
    """The rows as they were from revision `since` until, and not including, revision `until`.

    They refer to nothing: what they name may be gone.
    """
    table: Table = model.__table__  # type: ignore[attr-defined]
    columns = [Column(each.name, each.type, nullable=each.nullable) for each in table.columns]
    until = Column("until", BigInteger, nullable=False)
    name = f"{table.name}_past{partition}"
    return Table(name, metadata, *columns, until, *more, PrimaryKeyConstraint("id", "since"))


label_past = past_of(Label)
sample_past = past_of(Sample, "", Column("published", Boolean))
# The partition of what versions show, and only that: with the indexes that their pages need.
sample_past_published = past_of(Sample, "_published", Column("published", Boolean))
annotation_past = past_of(Annotation)


class Version(SQLModel, table=True):
    """A published revision of a working set: the samples of that revision, and their counts."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    name: str = ORDERED_TEXT
    description: str = TEXT
    revision: int = BIGINT
    parent_id: int | None = BIGINT
    status: str = TEXT
    is_split: bool
    created_at: datetime = TIMESTAMP
    created_by: str = TEXT
    total: int = BIGINT
    labeled: int = BIGINT
    pending: int = BIGINT
    manifest_path: str | None = TEXT


class VersionLabel(SQLModel, table=True):
    """A label of a version, by its name at the time."""

    __tablename__ = "version_label"

    version_id: int = KEY
    label_id: int = KEY
    dataset_id: int = BIGINT
    name: str = ORDERED_TEXT
    color: str | None = TEXT
    shortcut: str | None = ORDERED_TEXT
    sample_count: int = BIGINT
    annotation_count: int = BIGINT
    suggestion_count: int = BIGINT


class EmbeddingModel(SQLModel, table=True):
    """A model whose embeddings are stored. Those are in a table that exists only with pgvector."""

    __tablename__ = "embedding_model"

    id: int = assigned_key()
    dataset_id: int = BIGINT
    name: str = ORDERED_TEXT
    version: str = ORDERED_TEXT
    dimension: int
    embeddings: int = BIGINT
    center: list[float] | None = REALS
    created_at: datetime = TIMESTAMP
    changed_at: datetime = TIMESTAMP


class VersionEval(SQLModel, table=True):
    """A sample that a version's split put aside for evaluation or test."""

    __tablename__ = "version_eval"

    version_id: int = KEY
    sample_id: int = KEY
    dataset_id: int = BIGINT
    usage: str = TEXT


class Base(SQLModel, table=True):
    """The version that a working set is based on, and the revision at which both were equal."""

    dataset_id: int = KEY
    version_id: int | None = BIGINT
    revision: int = BIGINT
    named: int = BIGINT


class BaseBefore(SQLModel, table=True):
    """The base of a working set before a change that switched it to a version."""

    __tablename__ = "base_before"

    change_id: int = KEY
    dataset_id: int = BIGINT
    version_id: int | None = BIGINT
    was_clean: bool


class DatasetEvent(SQLModel, table=True):
    """What happened to a dataset besides its changes: a status of a job, or what became of a version. Written by
    triggers; `number` has no gaps, and `revision` is the dataset's at that time."""

    __tablename__ = "dataset_event"

    dataset_id: int = KEY
    number: int = KEY
    revision: int = BIGINT
    kind: str = TEXT
    subject_id: int = BIGINT
    detail: str = TEXT


class Token(SQLModel, table=True):
    """Who may do what. Only the token's SHA-256 is kept."""

    id: int = assigned_key()
    name: str = TEXT
    prefix: str = TEXT
    hash: bytes
    scope: str = TEXT
    dataset_ids: list[int] | None = Field(sa_type=ARRAY(BigInteger))
    created_at: datetime = TIMESTAMP
    expires_at: datetime | None = TIMESTAMP
    revoked_at: datetime | None = TIMESTAMP


class Secret(SQLModel, table=True):
    """A secret that all servers of a database share."""

    name: str = Field(sa_type=TextType, primary_key=True)
    value: bytes
