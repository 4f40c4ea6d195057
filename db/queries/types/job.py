"""Jobs that clients may see. PURGE is the server's own work."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func
from sqlalchemy import literal_column as sql

from db.postgres.models import IgnoredFiles, Job, JobWarning
from db.queries.compile_context import Field, ObjectType, RowType
from db.queries.connections import Listing, page
from db.queries.json_text import null_with, number, unescaped
from db.queries.pagination import ID, Order
from db.queries.timelines import timeline
from db.queries.types.fields import DATASET_OF_ROW, column, many, node_type, one, value

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
    warnings=WARNINGS,
    ignoredFiles=many(lambda group, job: group["job_id"] == job["id"]),
)
IMPORT_JOB = job(
    "IMPORT",
    "ImportJob",
    *("added", "updated", "labeled", "skipped"),
    readCount=column("scanned", number),
    warnings=WARNINGS,
)
MANIFEST_JOB = job(
    "MANIFEST",
    "ManifestJob",
    version=one(lambda version, job: version["id"] == job["version_id"], in_state=False),
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

JOBS = timeline(
    "job",
    ("SyncJob", "ImportJob", "ManifestJob"),
    "created_at",
    ID,
    {"statuses": "status", "requestedBy": "requested_by", "kinds": "kind"},
)
EXCLUSIVE_TYPES = ("SyncJob", "ImportJob")  # of which a dataset has one active at most
