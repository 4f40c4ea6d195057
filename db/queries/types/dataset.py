from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy import literal_column as sql

from db.postgres.models import Base, Dataset, Sample
from db.queries.compile_context import CompileContext, Field
from db.queries.connections import Listing, Page
from db.queries.json_text import Parts, array, boolean, concatenate, number, text, unescaped, value_or_null
from db.queries.pagination import KeyType, Order, by_creation
from db.queries.patterns import containing, label_names, of_storable
from db.queries.rows import DatasetState, Row
from db.queries.selection import SelectedField
from db.queries.types.change import CHANGES
from db.queries.types.comparison import compare
from db.queries.types.delete_impact import delete_impact
from db.queries.types.fields import column, node_type
from db.queries.types.job import ACTIVE, EXCLUSIVE_TYPES, JOBS
from db.queries.types.sample import SAMPLES
from db.queries.types.version import STATISTICS_OF_ROW, VERSIONS


def of_dataset(listing: Listing, *, in_state: bool = True) -> Field:
    """A page of the dataset's rows of a listing; `in_state`: as they are in the working set."""

    def compiled(context: CompileContext, row: Row, field: SelectedField) -> Parts:
        state: DatasetState | None = row.state if in_state else None
        return Page(context, listing, field, state, lambda each: [each["dataset_id"] == row.state.dataset_id]).json()

    return Field(compiled)


def labels(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    context.costly = True
    return context.many(field, lambda label: [label["dataset_id"] == row.state.dataset_id], row.state)


def label(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    name = context.bind(Text(), lambda value: label_names([value])[0], field.argument("name"))
    return value_or_null(
        context.one(field, lambda each: [each["dataset_id"] == row.state.dataset_id, each["name"] == name], row.state)
    )


def labelers(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    """Each who last labelled something: one step in the index for each of them, not one for each sample."""

    def next_labeler(after: ColumnElement[Any] | None) -> Any:
        sample = context.row(Sample, row.state)
        who = sample["labeled_by"]
        return (
            select(who)
            .select_from(sample.origin())
            .where(sample["dataset_id"] == row.state.dataset_id, who.is_not(None) if after is None else who > after)
            .order_by(who)
            .limit(sql("1"))
            .scalar_subquery()
        )

    who, table = context.name("who"), context.name("labelers")
    first, following = next_labeler(None), next_labeler(sql(f"{table}.{who}"))
    steps = select(first.label(who)).cte(table, recursive=True)
    steps = steps.union_all(select(following).select_from(steps).where(steps.c[who].is_not(None)))
    context.unbounded, context.costly = context.unbounded + 1, True
    names = array(text(steps.c[who]), steps.c[who], only=steps.c[who].is_not(None))
    return [select(concatenate(names)).select_from(steps).add_cte(steps, nest_here=True).scalar_subquery()]


def current_version(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    base = context.row(Base, row.state)
    current = select(base["version_id"]).select_from(base.origin())
    current = current.where(base["dataset_id"] == row.state.dataset_id)
    return value_or_null(context.one(field, lambda each: [each["id"] == current.scalar_subquery()]))


def has_unpublished_changes(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    """Whether anything was changed since the working set was equal to its version; without one, ever."""
    base = context.row(Base, row.state)
    clean = select(base["revision"]).select_from(base.origin())
    clean = clean.where(base["dataset_id"] == row.state.dataset_id, base["version_id"].is_not(None))
    return boolean(row["revision"] != func.coalesce(clean.scalar_subquery(), sql("0")))


def active_job(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    def active(job: Row) -> Sequence[ColumnElement[bool]]:
        return [job["dataset_id"] == row.state.dataset_id, job["status"].in_(ACTIVE)]

    return value_or_null(context.one_of_any(EXCLUSIVE_TYPES, field, active, row.state))


DATASET = node_type(
    "Dataset",
    Dataset,
    {
        "name": column("name"),
        "description": column("description"),
        "type": column("type", unescaped),
        "inputPath": column("input_path"),
        "outputPath": column("output_path", is_nullable=True),
        "include": column("include", is_list=True),
        "exclude": column("exclude", is_list=True),
        "labelNames": column("label_names", unescaped),
        "createdAt": column("created_at"),
        "updatedAt": column("updated_at"),
        "revision": column("revision", number),
        "statistics": STATISTICS_OF_ROW,
        "labels": Field(labels, is_list=True),
        "label": Field(label, is_nullable=True),
        "labelers": Field(labelers, is_list=True),
        "samples": of_dataset(SAMPLES),
        "currentVersion": Field(current_version, is_nullable=True),
        "hasUnpublishedChanges": Field(has_unpublished_changes),
        "versions": of_dataset(VERSIONS, in_state=False),
        "compare": Field(compare),
        "deleteImpact": Field(delete_impact),
        "activeJob": Field(active_job, is_nullable=True),
        "jobs": of_dataset(JOBS),
        "changes": of_dataset(CHANGES),
    },
)


def matching(context: CompileContext, row: Row, field: SelectedField) -> Sequence[ColumnElement[bool]]:
    filter_: Mapping[str, Any] = field.argument("filter") or {}
    conditions: list[ColumnElement[bool]] = []
    if filter_.get("type") is not None:
        conditions.append(row["type"] == context.bind(Text(), str, filter_["type"]))
    if filter_.get("nameContains") is not None:
        conditions.append(
            func.lower(row["name"]).like(context.bind(Text(), of_storable(containing), filter_["nameContains"]))
        )
    return conditions


DATASETS = Listing(
    type="Dataset",
    orders={
        **by_creation("dataset"),
        "NAME": Order("dataset.name", (("name", KeyType.TEXT),)),
    },
    matching=matching,
)
