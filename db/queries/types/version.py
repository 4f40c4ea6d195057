from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy import literal_column as sql

from db.postgres.models import Base, Job, Version
from db.queries.compile_context import Build, Type
from db.queries.connections import Listing, connection
from db.queries.json_text import Parts, flag, number, or_null, text, value_or_null, word
from db.queries.pagination import Kind, Order
from db.queries.rows import Pinned, Row, Scope
from db.queries.selection import Select
from db.queries.types.fields import column, dataset, global_id
from db.queries.types.sample import SAMPLES


def statistics(build: Build, row: Row, selected: Select) -> Parts:
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda each: number(_count(row, each.name)))


def _count(row: Row, name: str) -> ColumnElement[Any]:
    return row["total"] - row["labeled"] - row["pending"] if name == "unlabeled" else row[name]


def parse_scope(row: Row) -> Scope:
    """The state that a version's row stands for. A version found by a bound id, whose scope is pinned already, is
    known to the planner; any other is known when its row is there."""
    if row.scope.pinned is not None:
        return row.scope
    return Scope(row["dataset_id"], pinned=Pinned(row["id"], row["revision"]))


def pinned_to(version_id: ColumnElement[Any]) -> Scope:
    """The state of the version with this bound id."""
    pinned = Pinned(version_id, func.version_revision(version_id))
    return Scope(func.version_dataset(version_id), planned=True, pinned=pinned)


def is_current(build: Build, row: Row, _select: Select) -> Parts:
    base = build.row(Base, row.scope)
    found = select(base["dataset_id"]).select_from(base.origin())
    found = found.where(base["dataset_id"] == row["dataset_id"], base["version_id"] == row["id"])
    return flag(found.exists())


def parent(build: Build, row: Row, selected: Select) -> Parts:
    return value_or_null(build.one(selected, lambda other: [other["id"] == row["parent_id"]]))


def labels(build: Build, row: Row, selected: Select) -> Parts:
    build.costly = True
    return build.many(selected, lambda _label: [], parse_scope(row))


def samples(build: Build, row: Row, selected: Select) -> Parts:
    scope = parse_scope(row)
    build.by_values = build.by_values or scope.planned
    return connection(build, SAMPLES, selected, scope, lambda each: [each["dataset_id"] == scope.dataset_id])


def manifest_job(build: Build, row: Row, selected: Select) -> Parts:
    """The latest, so that the error of one that failed is told until another is asked for."""
    job = build.row(Job, row.scope)
    latest = select(func.max(job["id"])).select_from(job.origin())
    latest = latest.where(job["version_id"] == row["id"], job["kind"] == sql("'MANIFEST'"))
    return value_or_null(build.one(selected, lambda each: [each["id"] == latest.scalar_subquery()], row.scope))


VERSION = Type(
    name="Version",
    model=Version,
    is_node=True,
    fields={
        "id": global_id("Version"),
        "dataset": dataset,
        "name": column("name", word),
        "description": column("description"),
        "status": column("status", word),
        "isCurrent": is_current,
        "parent": parent,
        "createdAt": column("created_at"),
        "createdBy": column("created_by"),
        "statistics": statistics,
        "labels": labels,
        "samples": samples,
        "manifestPath": column("manifest_path", or_null(text)),
        "manifestJob": manifest_job,
    },
)

VERSIONS = Listing(type="Version", orders={"NEWEST": Order("version", (("id", Kind.NUMBER),), descending=True)})


def versions(build: Build, row: Row, selected: Select) -> Parts:
    """The versions of a dataset."""
    return connection(build, VERSIONS, selected, None, lambda each: [each["dataset_id"] == row.scope.dataset_id])


def current_version(build: Build, row: Row, selected: Select) -> Parts:
    base = build.row(Base, row.scope)
    current = select(base["version_id"]).select_from(base.origin())
    current = current.where(base["dataset_id"] == row.scope.dataset_id)
    return value_or_null(build.one(selected, lambda each: [each["id"] == current.scalar_subquery()]))


def has_unpublished_changes(build: Build, row: Row, _select: Select) -> Parts:
    """Whether anything was changed since the working set was equal to its version; without one, ever."""
    base = build.row(Base, row.scope)
    clean = select(base["revision"]).select_from(base.origin())
    clean = clean.where(*_based(base, row))
    return flag(row["revision"] != func.coalesce(clean.scalar_subquery(), sql("0")))


def _based(base: Row, row: Row) -> Sequence[ColumnElement[bool]]:
    return [base["dataset_id"] == row.scope.dataset_id, base["version_id"].is_not(None)]
