"""The tables, as SQLModel classes. What they mean, and the triggers that keep history and counts, is told in
`db/migrations/versions/0001_spine.sql`."""

from sqlmodel import SQLModel

from db.models.annotation import Annotation, annotation_past
from db.models.change import Change
from db.models.dataset import Dataset
from db.models.idempotency import Idempotency
from db.models.job import IgnoredFiles, Job, JobWarning
from db.models.label import Label, LabelCount, label_past
from db.models.sample import Sample, sample_past
from db.models.secret import Secret
from db.models.source import Source, SourceDeletion
from db.models.sync import import_line, sync_item, sync_object, sync_sidecar
from db.models.token import Token
from db.models.upload import Upload
from db.models.version import Base, BaseBefore, Version, VersionEval, VersionLabel

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
