"""Jobs that clients may see. PURGE is the server's own work."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, func
from sqlalchemy import literal_column as sql

from db.postgres.models import IgnoredFiles, Job, JobWarning
from db.queries.compile_context import Build, Field, Type
from db.queries.connections import Listing, connection
from db.queries.json_text import NULL, Parts, assemble, number, or_null, text, value_or_null, word, words
from db.queries.pagination import Kind, Order
from db.queries.rows import Row
from db.queries.selection import Select
from db.queries.types.fields import column, dataset, global_id

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


def ignored_files(build: Build, row: Row, select: Select) -> Parts:
    return build.many(select, lambda group: [group["job_id"] == row["id"]], row.scope)


def version(build: Build, row: Row, select: Select) -> Parts:
    return value_or_null(build.one(select, lambda each: [each["id"] == row["version_id"]]))


def job(kind: str, name: str, *counters: str, **fields: Field) -> Type:
    """The type of a kind of jobs: what all jobs tell, counters, and what is told of this kind alone."""
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
            **fields,
        },
    )


COLUMNS = {"read": "scanned"}
SYNC_COUNTERS = ("scanned", "added", "updated", "removed", "moved", "skipped", "ignored")
SYNC_JOB = job("SYNC", "SyncJob", *SYNC_COUNTERS, warnings=warnings, ignoredFiles=ignored_files)
IMPORT_JOB = job("IMPORT", "ImportJob", "read", "added", "updated", "labeled", "skipped", warnings=warnings)
MANIFEST_JOB = job("MANIFEST", "ManifestJob", version=version)

SYNC_WARNING = Type(
    name="SyncWarning",
    model=JobWarning,
    fields={"path": column("path"), "message": column("message"), "count": column("count", number)},
)
IGNORED_FILES = Type(
    name="IgnoredFiles",
    model=IgnoredFiles,
    fields={
        "reason": column("reason", word),
        "suffix": column("suffix", or_null(text)),
        "count": column("count", number),
        "examples": column("examples", words),
    },
)

JOBS = Listing(
    type="SyncJob",
    others=("ImportJob", "ManifestJob"),
    orders={"NEWEST": Order("job", (("id", Kind.NUMBER),), descending=True)},
)
FILLING_TYPES = ("SyncJob", "ImportJob")  # of which a dataset has one active at most
WARNINGS = Listing(type="SyncWarning", orders={"MET": Order("warning", (("id", Kind.NUMBER),))})
