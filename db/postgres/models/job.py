from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Double, Integer, text
from sqlmodel import Field, SQLModel

from db.postgres.models.columns import big, json, key, timestamp, word_list, words


class Job(SQLModel, table=True):
    """Long work, and its place in the queue. `epoch` fences off a worker that lost it."""

    __tablename__ = "job"

    id: int = key()
    dataset_id: int = big(references="dataset.id")
    kind: str = words()
    status: str = words(default="'QUEUED'")
    arguments: dict[str, Any] = json(default="'{}'")
    requested_by: str = words()
    created_at: datetime = timestamp(default=True)
    started_at: datetime | None = timestamp(nullable=True)
    finished_at: datetime | None = timestamp(nullable=True)
    error_code: str | None = words(nullable=True)
    error_message: str | None = words(nullable=True)
    error_details: dict[str, Any] | None = json(nullable=True)
    progress: float | None = Field(default=None, sa_type=Double)
    scanned: int = big(default="0")
    added: int = big(default="0")
    updated: int = big(default="0")
    removed: int = big(default="0")
    moved: int = big(default="0")
    skipped: int = big(default="0")
    labeled: int = big(default="0")
    ignored: int = big(default="0")
    checkpoint: dict[str, Any] = json(default="'{}'")
    epoch: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    attempts: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    claims: int = Field(default=0, sa_type=Integer, sa_column_kwargs={"server_default": text("0")})
    cancel_requested: bool = Field(default=False, sa_type=Boolean, sa_column_kwargs={"server_default": text("false")})
    heartbeat_at: datetime | None = timestamp(nullable=True)
    step: int = big(default="0")
    worker: int | None = Field(default=None, sa_type=Integer)
    due_at: datetime = timestamp(default=True)  # from when on a queued job may be claimed
    version_id: int | None = big(references="version.id", cascade=None, nullable=True)  # whose manifest is written


class JobWarning(SQLModel, table=True):
    """Something that a job met and went on from. `name`: of a label, if the warning is about one; `count` times met."""

    __tablename__ = "job_warning"

    id: int = key()
    job_id: int = big(references="job.id", cascade=True)
    path: str = words()
    message: str = words()
    name: str | None = words(nullable=True)
    count: int = big(default="1")


class IgnoredFiles(SQLModel, table=True):
    """Files that a sync passed over for one reason, with the first of their paths."""

    __tablename__ = "ignored_files"

    id: int = key()
    job_id: int = big(references="job.id", cascade=True)
    reason: str = words()
    suffix: str | None = words(nullable=True)
    count: int = big()
    examples: list[str] = word_list()
