"""Jobs, and what they found or made."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
)
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import BIGINT, DOUBLE, JSON, KEY, ORDERED_TEXT, TEXT, TEXTS, TIMESTAMP, assigned_key


class Job(SQLModel, table=True):
    """Long work, and its position in the queue. `epoch` excludes a worker that lost it."""

    id: int = assigned_key()
    dataset_id: int = BIGINT
    kind: str = TEXT
    status: str = TEXT
    arguments: dict[str, Any] = JSON
    requested_by: str = TEXT
    created_at: datetime = TIMESTAMP
    started_at: datetime | None = TIMESTAMP
    finished_at: datetime | None = TIMESTAMP
    error_code: str | None = TEXT
    error_message: str | None = TEXT
    error_details: dict[str, Any] | None = JSON
    progress: float | None = DOUBLE
    scanned: int = BIGINT
    added: int = BIGINT
    updated: int = BIGINT
    removed: int = BIGINT
    moved: int = BIGINT
    skipped: int = BIGINT
    labeled: int = BIGINT
    ignored: int = BIGINT
    checkpoint: dict[str, Any] = JSON
    epoch: int
    attempts: int
    claims: int
    cancel_requested: bool
    heartbeat_at: datetime | None = TIMESTAMP
    step: int = BIGINT
    worker: int | None
    due_at: datetime = TIMESTAMP  # from when on a queued job may be claimed
    version_id: int | None = BIGINT  # that is written
    format: str | None = TEXT  # of what is imported, once it is known
    is_dry_run: bool
    matched: int = BIGINT
    kept: int = BIGINT
    missing: int = BIGINT
    beyond: int = BIGINT
    unchanged: int | None = BIGINT
    needs: str | None = TEXT  # of the worker that runs it
    waits_for: str | None = TEXT  # the same, while no living worker has it


class JobWarning(SQLModel, table=True):
    """A problem that did not end a job. `name`: of a label, if the warning is about one; `count` times met."""

    __tablename__ = "job_warning"

    id: int = assigned_key()
    job_id: int = BIGINT
    path: str = TEXT
    message: str = TEXT
    name: str | None = TEXT
    count: int = BIGINT


class IgnoredFiles(SQLModel, table=True):
    """Files that a sync ignored for one reason, with the first of their paths."""

    __tablename__ = "ignored_files"

    id: int = assigned_key()
    job_id: int = BIGINT
    reason: str = TEXT
    suffix: str | None = TEXT
    count: int = BIGINT
    examples: list[str] = TEXTS


class SyncExample(SQLModel, table=True):
    """The first samples on which a dry run of a sync would have an effect, and where those that move were before."""

    __tablename__ = "sync_example"

    id: int = assigned_key()
    job_id: int = BIGINT
    effect: str = TEXT
    paths: list[str] = TEXTS
    former_paths: list[str] = TEXTS


class Export(SQLModel, table=True):
    """What an export job writes, and what came of it. `facts`: of the dataset, as it was at `revision`."""

    job_id: int = KEY
    dataset_id: int = BIGINT
    format: str = TEXT
    images: str = TEXT
    packing: str = TEXT
    location: str = TEXT
    folder: str = TEXT
    is_temporary: bool
    expires_at: datetime | None = TIMESTAMP
    sweep_at: datetime | None = TIMESTAMP
    revision: int | None = BIGINT
    facts: dict[str, Any] | None = JSON
    image_count: int | None = BIGINT
    annotation_count: int | None = BIGINT
    left_out_count: int | None = BIGINT
    missing_count: int | None = BIGINT
    total_size: int | None = BIGINT


class ExportFile(SQLModel, table=True):
    """A file of an export, from when it is whole."""

    __tablename__ = "export_file"

    id: int = assigned_key()
    job_id: int = BIGINT
    path: str = TEXT
    object: str = TEXT
    size: int = BIGINT
    sha256: str = TEXT


class ImportLabel(SQLModel, table=True):
    """A label that an import made, or would make, and on how many samples it put it."""

    __tablename__ = "import_label"

    id: int = assigned_key()
    job_id: int = BIGINT
    name: str = TEXT
    sample_count: int = BIGINT
    annotation_count: int = BIGINT


class ImportNotice(SQLModel, table=True):
    """What happened to lines or images of an import, by kind, with the first of them."""

    __tablename__ = "import_notice"

    id: int = assigned_key()
    job_id: int = BIGINT
    kind: str = TEXT
    count: int = BIGINT
    examples: list[str] = TEXTS


class AutoLabel(SQLModel, table=True):
    """What an auto labelling job does, and what came of it."""

    __tablename__ = "auto_label"

    job_id: int = KEY
    dataset_id: int = BIGINT
    model_kind: str = TEXT
    min_confidence: float = DOUBLE
    model_id: int | None = BIGINT
    sample_count: int = Field(default=0, sa_type=BigInteger)
    evaluated_count: int | None = BIGINT
    accuracy: float | None = DOUBLE


class AutoLabelScore(SQLModel, table=True):
    """A label of an auto labelling job: left out, or with what the evaluation found."""

    __tablename__ = "auto_label_score"

    id: int = assigned_key()
    job_id: int = BIGINT
    label_id: int = BIGINT
    name: str = ORDERED_TEXT
    sample_count: int = BIGINT
    is_left_out: bool
    precision: float | None = DOUBLE
    recall: float | None = DOUBLE
    support: int | None = BIGINT


class AutoLabelConfusion(SQLModel, table=True):
    """How many evaluated samples with one label were taken for another, or for the same."""

    __tablename__ = "auto_label_confusion"

    id: int = assigned_key()
    job_id: int = BIGINT
    actual: str = ORDERED_TEXT
    predicted: str = ORDERED_TEXT
    count: int = BIGINT


class AutoLabelThreshold(SQLModel, table=True):
    """What suggestions with at least a confidence were like, of the samples of an evaluation."""

    __tablename__ = "auto_label_threshold"

    id: int = assigned_key()
    job_id: int = BIGINT
    min_confidence: float = DOUBLE
    share: float = DOUBLE
    precision: float | None = DOUBLE
