"""Jobs that clients may see. PURGE and MANIFEST are the server's own work."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func
from sqlalchemy import literal_column as sql

from db.models import Job, JobWarning
from db.pages import Kind, Order
from db.select.build import Build, Type
from db.select.connections import Listing, connection
from db.select.rows import Row
from db.select.selection import Select
from db.select.text import NULL, Parts, assemble, number, or_null, text, word
from db.select.types.fields import column, dataset, global_id

ACTIVE: Sequence[ColumnElement[Any]] = (sql("'QUEUED'"), sql("'RUNNING'"))


def error(build: Build, row: Row, select: Select) -> Parts:
    name, selects = select.of_only_type()
    values = {
        "code": word(row["error_code"]),
        "message": text(row["error_message"]),
        **{name: or_null(number)(_detail(row, name)) for name in ("wouldRemove", "samples")},
    }
    told = build.fields(name, selects, lambda each: values[each.name])
    return [case((row["error_code"].is_(None), NULL), else_=assemble(told))]


def _detail(row: Row, name: str) -> ColumnElement[Any]:
    """A whole number among the details of an error; null where there is none of this name."""
    return cast(func.jsonb_extract_path_text(row["error_details"], sql(f"'{name}'")), BigInteger)


def warnings(build: Build, row: Row, select: Select) -> Parts:
    return connection(build, WARNINGS, select, row.scope, lambda warning: [warning["job_id"] == row["id"]])


def job(kind: str, name: str, *counters: str) -> Type:
    """The type of a kind of jobs: what all jobs tell, and counters."""
    return Type(
        name=name,
        model=Job,
        is_node=True,
        where=lambda row: [row["kind"] == sql(f"'{kind}'")],
        fields={
            "id": global_id(name),
            "status": column("status", word),
            "dataset": dataset,
            "progress": column("progress", or_null(number)),
            "requestedBy": column("requested_by"),
            "createdAt": column("created_at"),
            "startedAt": column("started_at", or_null(text)),
            "finishedAt": column("finished_at", or_null(text)),
            "error": error,
            **{counter: column(COLUMNS.get(counter, counter), number) for counter in counters},
            "warnings": warnings,
        },
    )


COLUMNS = {"read": "scanned"}
SYNC_JOB = job("SYNC", "SyncJob", "scanned", "added", "updated", "removed", "moved", "skipped")
IMPORT_JOB = job("IMPORT", "ImportJob", "read", "added", "updated", "labeled", "skipped")

SYNC_WARNING = Type(name="SyncWarning", model=JobWarning, fields={"path": column("path"), "message": column("message")})

JOBS = Listing(
    type="SyncJob",
    others=("ImportJob",),
    orders={"NEWEST": Order("job", (("id", Kind.NUMBER),), descending=True)},
)
JOB_TYPES = (JOBS.type, *JOBS.others)
WARNINGS = Listing(type="SyncWarning", orders={"MET": Order("warning", (("id", Kind.NUMBER),))})
