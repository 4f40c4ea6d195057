"""Jobs that clients may see. PURGE is the server's own work."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func
from sqlalchemy import literal_column as sql

from db.postgres.models import (
    Export,
    ExportFile,
    IgnoredFiles,
    ImportLabel,
    ImportNotice,
    Job,
    JobWarning,
    SyncExample,
)
from db.queries.compile_context import CompileContext, Field, ObjectType, RowType, SelectedField
from db.queries.connections import Listing, page
from db.queries.json_text import Encode, Parts, boolean, null_with, nullable, number, text, unescaped
from db.queries.pagination import ID, Order
from db.queries.rows import Row
from db.queries.timelines import timeline
from db.queries.types.fields import DATASET_OF_ROW, column, many, node_type, one, value
from db.queries.types.sample import signed

ACTIVE: Sequence[ColumnElement[Any]] = (sql("'QUEUED'"), sql("'RUNNING'"))


def error_detail(name: str) -> Field:
    """A whole number among the details of an error; null where there is none of this name."""
    details = func.jsonb_extract_path_text
    return value(
        lambda row: cast(details(row["error_details"], sql(f"'{name}'")), BigInteger), number, is_nullable=True
    )


def job(kind: str, name: str, *counters: str, **fields: Field) -> RowType:
    """The type of a kind of jobs: the fields of all jobs, counters, and the fields of this kind alone."""
    return node_type(
        name,
        Job,
        {
            "status": column("status", unescaped),
            "dataset": DATASET_OF_ROW,
            "progress": column("progress", number, is_nullable=True),
            "requestedBy": column("requested_by"),
            "createdAt": column("created_at"),
            "startedAt": column("started_at", is_nullable=True),
            "finishedAt": column("finished_at", is_nullable=True),
            "error": Field(
                lambda context, row, field: null_with(row["error_code"], context.nested(row, field.fields)),
                is_nullable=True,
            ),
            **{f"{counter}Count": column(counter, number) for counter in counters},
            **fields,
        },
        where=lambda row: [row["kind"] == sql(f"'{kind}'")],
    )


WARNINGS = page(
    Listing(("JobWarning",), lambda *_: Order("warning", (ID,))),
    lambda warning, job: warning["job_id"] == job["id"],
)

SYNC_JOB = job(
    "SYNC",
    "SyncJob",
    *("scanned", "added", "updated", "removed", "moved", "skipped", "ignored"),
    isDryRun=column("is_dry_run", boolean),
    unchangedCount=column("unchanged", number, is_nullable=True),
    examples=many(lambda example, job: example["job_id"] == job["id"]),
    warnings=WARNINGS,
    ignoredFiles=many(lambda group, job: group["job_id"] == job["id"]),
)
IMPORT_JOB = job(
    "IMPORT",
    "ImportJob",
    *("added", "updated", "labeled", "skipped", "matched", "kept", "missing"),
    sourceFormat=column("format", unescaped, is_nullable=True),
    isDryRun=column("is_dry_run", boolean),
    readCount=column("scanned", number),
    outOfBoundsCount=column("beyond", number),
    newLabels=many(lambda label, job: label["job_id"] == job["id"]),
    notices=many(lambda notice, job: notice["job_id"] == job["id"]),
    warnings=WARNINGS,
)
MANIFEST_JOB = job(
    "MANIFEST",
    "ManifestJob",
    version=one(lambda version, job: version["id"] == job["version_id"], in_state=False),
    warnings=WARNINGS,
)


LARGE_CHANGE_JOB = job(
    "LARGE_CHANGE",
    "LargeChangeJob",
    sampleCount=column("matched", number),
    change=one(lambda change, job: change["job_id"] == job["id"], in_state=False),
)


def export(context: CompileContext, job: Row) -> Row:
    """What an export job writes."""
    return job.join(context.row(Export, job.state), lambda other: other["job_id"] == job["id"])


def of_export(name: str, encode: Encode = text, *, is_nullable: bool = False) -> Field:
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda context, job, _field: encoded(export(context, job)[name]), is_nullable)


def location(context: CompileContext, job: Row, _field: SelectedField) -> Parts:
    row = export(context, job)
    return nullable(text)(case((~row["is_temporary"], row["location"])))


def summary(context: CompileContext, job: Row, field: SelectedField) -> Parts:
    row = export(context, job)
    return null_with(row["image_count"], context.nested(row, field.fields))


EXPORT_JOB = job(
    "EXPORT",
    "ExportJob",
    version=one(lambda version, job: version["id"] == job["version_id"], in_state=False),
    format=of_export("format", unescaped),
    images=of_export("images", unescaped),
    packing=of_export("packing", unescaped),
    revision=of_export("revision", number, is_nullable=True),
    exportedCount=column("scanned", number),
    files=many(lambda file, job: and_(file["job_id"] == job["id"], job["status"] == sql("'SUCCEEDED'"))),
    location=Field(location, is_nullable=True),
    expiresAt=of_export("expires_at", is_nullable=True),
    summary=Field(summary, is_nullable=True),
    warnings=WARNINGS,
)
EXPORT_FILE = RowType(
    name="ExportFile",
    model=ExportFile,
    fields={
        "name": column("path"),
        "url": Field(lambda context, row, _field: signed(context, func.concat(sql("'/exports/'"), row["id"]))),
        "size": column("size", number),
        "sha256": column("sha256", unescaped),
    },
)
EXPORT_SUMMARY = ObjectType(
    name="ExportSummary",
    fields={
        "imageCount": column("image_count", number),
        "annotationCount": column("annotation_count", number),
        "leftOutCount": column("left_out_count", number),
        "missingCount": column("missing_count", number),
        "size": column("total_size", number),
    },
)

JOB_ERROR = ObjectType(
    name="JobError",
    fields={
        "code": column("error_code", unescaped),
        "message": column("error_message"),
        "wouldRemoveCount": error_detail("wouldRemove"),
        "sampleCount": error_detail("samples"),
    },
)
JOB_WARNING = RowType(
    name="JobWarning",
    model=JobWarning,
    fields={"path": column("path"), "message": column("message"), "count": column("count", number)},
)
IGNORED_FILES = RowType(
    name="IgnoredFiles",
    model=IgnoredFiles,
    fields={
        "reason": column("reason", unescaped),
        "suffix": column("suffix", is_nullable=True),
        "count": column("count", number),
        "examples": column("examples", is_list=True),
    },
)
SYNC_EXAMPLES = RowType(
    name="SyncExamples",
    model=SyncExample,
    fields={
        "effect": column("effect", unescaped),
        "paths": column("paths", is_list=True),
        "formerPaths": column("former_paths", is_list=True),
    },
)
IMPORTED_LABEL = RowType(
    name="ImportedLabel",
    model=ImportLabel,
    fields={
        "name": column("name"),
        "sampleCount": column("sample_count", number),
        "annotationCount": column("annotation_count", number),
    },
)
IMPORT_NOTICE = RowType(
    name="ImportNotice",
    model=ImportNotice,
    fields={
        "kind": column("kind", unescaped),
        "count": column("count", number),
        "examples": column("examples", is_list=True),
    },
)

JOBS = timeline(
    "job",
    ("SyncJob", "ImportJob", "ManifestJob", "ExportJob", "LargeChangeJob", "AutoLabelJob"),
    "created_at",
    ID,
    {"statuses": "status", "requestedBy": "requested_by", "kinds": "kind"},
)
EXCLUSIVE_TYPES = ("SyncJob", "ImportJob")  # of which a dataset has one active at most, without dry runs of syncs


def is_exclusive(job: Row) -> list[ColumnElement[Any]]:
    is_dry_sync = and_(job["kind"] == sql("'SYNC'"), job["is_dry_run"])
    return [job["status"].in_(ACTIVE), ~is_dry_sync]
