from datetime import datetime
from typing import Any

from sqlalchemy import Double, Integer
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import bigint, boolean, id_column, integer, json, text_column, text_list, timestamp


class Job(SQLModel, table=True):
    """Long work, and its position in the queue. `epoch` excludes a worker that lost it."""

    __tablename__ = "job"

    id: int = id_column()
    dataset_id: int = bigint(references="dataset.id")
    kind: str = text_column()
    status: str = text_column(default="'QUEUED'")
    arguments: dict[str, Any] = json(default="'{}'")
    requested_by: str = text_column()
    created_at: datetime = timestamp(default=True)
    started_at: datetime | None = timestamp(nullable=True)
    finished_at: datetime | None = timestamp(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error_message: str | None = text_column(nullable=True)
    error_details: dict[str, Any] | None = json(nullable=True)
    progress: float | None = Field(default=None, sa_type=Double)
    scanned: int = bigint(default="0")
    added: int = bigint(default="0")
    updated: int = bigint(default="0")
    removed: int = bigint(default="0")
    moved: int = bigint(default="0")
    skipped: int = bigint(default="0")
    labeled: int = bigint(default="0")
    ignored: int = bigint(default="0")
    checkpoint: dict[str, Any] = json(default="'{}'")
    epoch: int = integer(default=0)
    attempts: int = integer(default=0)
    claims: int = integer(default=0)
    cancel_requested: bool = boolean(default=False)
    heartbeat_at: datetime | None = timestamp(nullable=True)
    step: int = bigint(default="0")
    worker: int | None = Field(default=None, sa_type=Integer)
    due_at: datetime = timestamp(default=True)  # from when on a queued job may be claimed
    version_id: int | None = bigint(references="version.id", cascade=None, nullable=True)  # whose manifest is written


class JobWarning(SQLModel, table=True):
    """A problem that did not end a job. `name`: of a label, if the warning is about one; `count` times met."""

    __tablename__ = "job_warning"

    id: int = id_column()
    job_id: int = bigint(references="job.id", cascade=True)
    path: str = text_column()
    message: str = text_column()
    name: str | None = text_column(nullable=True)
    count: int = bigint(default="1")


class IgnoredFiles(SQLModel, table=True):
    """Files that a sync ignored for one reason, with the first of their paths."""

    __tablename__ = "ignored_files"

    id: int = id_column()
    job_id: int = bigint(references="job.id", cascade=True)
    reason: str = text_column()
    suffix: str | None = text_column(nullable=True)
    count: int = bigint()
    examples: list[str] = text_list()
