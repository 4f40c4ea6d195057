from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy import literal_column as sql

from db.postgres.models import Base, Job, Version
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing, Page
from db.queries.json_text import Parts, boolean, number, unescaped, value_or_null
from db.queries.pagination import ID, Order
from db.queries.rows import DatasetState, PublishedVersion, Row
from db.queries.types.fields import DATASET_OF_ROW, NESTED, column, node_type, one, value
from db.queries.types.sample import SAMPLES


def state_of_row(row: Row) -> DatasetState:
    """The state that a version's row describes. A version found by a bound id, which is its state already, is known
    to the planner; any other is known when its row is read."""
    if row.state.version is not None:
        return row.state
    return DatasetState(row["dataset_id"], version=PublishedVersion(row["id"], row["revision"]))


def state_of_version(version_id: ColumnElement[Any], *, is_bound: bool = True) -> DatasetState:
    """The state of the version with this id, which is a bound value unless stated otherwise."""
    version = PublishedVersion(version_id, func.version_revision(version_id))
    return DatasetState(func.version_dataset(version_id), is_bound, version)


def is_current(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    base = context.row(Base, row.state)
    is_base = [base["dataset_id"] == row["dataset_id"], base["version_id"] == row["id"]]
    return boolean(base.select(base["dataset_id"], where=is_base).exists())


def labels(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    context.costly = True
    return context.many(field.fields, lambda _label: [], state_of_row(row))


def samples(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    state = state_of_row(row)
    context.custom_plan = context.custom_plan or state.is_bound
    return Page(context, SAMPLES, field, state, lambda each: [each["dataset_id"] == state.dataset_id]).json()


def manifest_job(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The latest, so that the error of one that failed is shown until another is requested."""
    job = context.row(Job, row.state)
    is_manifest = [job["version_id"] == row["id"], job["kind"] == sql("'MANIFEST'")]
    latest = job.select(func.max(job["id"]), where=is_manifest)
    return value_or_null(context.one(field.fields, lambda each: [each["id"] == latest.scalar_subquery()], row.state))


STATISTICS = ObjectType(
    name="Statistics",
    fields={
        "totalCount": column("total", number),
        "labeledCount": column("labeled", number),
        "unlabeledCount": value(lambda row: row["total"] - row["labeled"] - row["pending"], number),
        "pendingCount": column("pending", number),
    },
)

VERSION = node_type(
    "Version",
    Version,
    {
        "dataset": DATASET_OF_ROW,
        "name": column("name", unescaped),
        "description": column("description"),
        "status": column("status", unescaped),
        "isCurrent": Field(is_current),
        "parent": one(lambda parent, version: parent["id"] == version["parent_id"], in_state=False),
        "createdAt": column("created_at"),
        "createdBy": column("created_by"),
        "statistics": NESTED,
        "labels": Field(labels, is_list=True),
        "samples": Field(samples),
        "manifestPath": column("manifest_path", is_nullable=True),
        "manifestJob": Field(manifest_job, is_nullable=True),
    },
)

VERSIONS = Listing(("Version",), lambda *_: Order("version", (ID,), descending=True))
