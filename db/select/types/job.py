"""Jobs that clients may see. A PURGE is the server's own work."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case
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
    encode = {"code": word, "message": text}
    told = build.fields(name, selects, lambda each: encode[each.name](row[f"error_{each.name}"]))
    return [case((row["error_code"].is_(None), NULL), else_=assemble(told))]


def warnings(build: Build, row: Row, select: Select) -> Parts:
    return connection(build, WARNINGS, select, row.scope, lambda warning: [warning["job_id"] == row["id"]])


SYNC_JOB = Type(
    name="SyncJob",
    model=Job,
    is_node=True,
    where=lambda row: [row["kind"] == sql("'SYNC'")],
    fields={
        "id": global_id("SyncJob"),
        "status": column("status", word),
        "dataset": dataset,
        "progress": column("progress", or_null(number)),
        "requestedBy": column("requested_by"),
        "createdAt": column("created_at"),
        "startedAt": column("started_at", or_null(text)),
        "finishedAt": column("finished_at", or_null(text)),
        "error": error,
        "scanned": column("scanned", number),
        "added": column("added", number),
        "updated": column("updated", number),
        "removed": column("removed", number),
        "moved": column("moved", number),
        "skipped": column("skipped", number),
        "warnings": warnings,
    },
)

SYNC_WARNING = Type(name="SyncWarning", model=JobWarning, fields={"path": column("path"), "message": column("message")})

JOBS = Listing(type="SyncJob", orders={"NEWEST": Order("job", (("id", Kind.NUMBER),), descending=True)})
WARNINGS = Listing(type="SyncWarning", orders={"MET": Order("warning", (("id", Kind.NUMBER),))})
