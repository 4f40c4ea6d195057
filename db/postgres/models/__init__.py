"""The tables, as SQLModel classes. `db/postgres/migrations/versions/0001_spine.sql` explains them, and the triggers
that keep history and counts."""

from sqlmodel import SQLModel

from db.postgres.models.dataset import Change, Dataset
from db.postgres.models.identity import Idempotency, Secret, Token
from db.postgres.models.job import IgnoredFiles, Job, JobWarning
from db.postgres.models.source import Source, SourceDeletion, Upload
from db.postgres.models.staging import import_line, sync_item, sync_object, sync_sidecar
from db.postgres.models.version import Base, BaseBefore, Version, VersionEval, VersionLabel
from db.postgres.models.working_set import (
    Annotation,
    Label,
    LabelCount,
    Sample,
    annotation_past,
    label_past,
    sample_past,
)

metadata = SQLModel.metadata

__all__ = [
    "Annotation",
    "Base",
    "BaseBefore",
    "Change",
    "Dataset",
    "Idempotency",
    "IgnoredFiles",
    "Job",
    "JobWarning",
    "Label",
    "LabelCount",
    "Sample",
    "Secret",
    "Source",
    "SourceDeletion",
    "Token",
    "Upload",
    "Version",
    "VersionEval",
    "VersionLabel",
    "annotation_past",
    "import_line",
    "label_past",
    "metadata",
    "sample_past",
    "sync_item",
    "sync_object",
    "sync_sidecar",
]
