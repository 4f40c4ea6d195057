"""The tables, as SQLModel classes. `db/postgres/migrations/versions/0001_spine.sql` explains them, and the triggers
that keep history and counts."""

from sqlmodel import SQLModel

from db.postgres.models.annotation import Annotation, annotation_past
from db.postgres.models.change import Change
from db.postgres.models.dataset import Dataset
from db.postgres.models.idempotency import Idempotency
from db.postgres.models.job import IgnoredFiles, Job, JobWarning
from db.postgres.models.label import Label, LabelCount, label_past
from db.postgres.models.sample import Sample, sample_past
from db.postgres.models.secret import Secret
from db.postgres.models.source import Source, SourceDeletion
from db.postgres.models.sync import import_line, sync_item, sync_object, sync_sidecar
from db.postgres.models.token import Token
from db.postgres.models.upload import Upload
from db.postgres.models.version import Base, BaseBefore, Version, VersionEval, VersionLabel

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
