from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy import literal_column as sql

from db.identity.tokens import Scope
from db.postgres.models import Base, Dataset, DatasetEvent, Sample
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing, page
from db.queries.json_text import Parts, array, boolean, concatenate, number, text, unescaped, value_or_null
from db.queries.orders import dataset_order
from db.queries.pagination import NUMBER, Key, Order
from db.queries.patterns import containing, label_names, of_storable, storable_or_none
from db.queries.rows import Row
from db.queries.types.change import CHANGES
from db.queries.types.comparison import compare
from db.queries.types.delete_impact import delete_impact
from db.queries.types.duplicates import duplicates
from db.queries.types.fields import NESTED, column, many, node_type, permission
from db.queries.types.job import EXCLUSIVE_TYPES, JOBS, is_exclusive
from db.queries.types.model import MODELS
from db.queries.types.sample import SAMPLES
from db.queries.types.version import VERSIONS

# A position in a dataset's events: behind a change, and behind the last other event.
EVENTS = Order("events", tuple(Key(name, NUMBER) for name in ("dataset_id", "revision", "number")))


def of_dataset(row: Row, dataset: Row) -> ColumnElement[bool]:
    return row["dataset_id"] == dataset.state.dataset_id


def of_any_dataset(row: Row, dataset: Row) -> ColumnElement[bool]:
    """The same, of few rows."""
    return row["dataset_id"] == dataset.state.unplanned_id


def labels(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """All labels of the dataset. Those of many datasets may be many more."""
    context.costly |= not row.state.is_bound
    return context.many(field.fields, lambda label: [of_any_dataset(label, row)], row.state)


def one_by(column_name: str, stored: Callable[[str], str | None], *, in_state: bool = True) -> Field:
    """The dataset's row with this text in a unique column; the argument has the column's name."""

    def compiled(context: CompileContext, row: Row, field: SelectedField) -> Parts:
        text = context.bind(Text(), stored, field.argument(column_name))
        state = row.state if in_state else None
        return value_or_null(
            context.one(field.fields, lambda other: [of_any_dataset(other, row), other[column_name] == text], state)
        )

    return Field(compiled, is_nullable=True)


def labelers(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    """Each who last labelled something: one step in the index for each of them, not one for each sample."""

    def next_labeler(after: ColumnElement[Any] | None) -> Any:
        sample = context.row(Sample, row.state)
        who = sample["labeled_by"]
        is_next = who.is_not(None) if after is None else who > after
        rows = sample.select(who, where=[of_dataset(sample, row), is_next])
        return rows.order_by(who).limit(sql("1")).scalar_subquery()

    who, table = context.name("who"), context.name("labelers")
    first, following = next_labeler(None), next_labeler(sql(f"{table}.{who}"))
    steps = select(first.label(who)).cte(table, recursive=True)
    steps = steps.union_all(select(following).select_from(steps).where(steps.c[who].is_not(None)))
    context.unbounded, context.costly = context.unbounded + 1, True
    names = array(text(steps.c[who]), steps.c[who], only=steps.c[who].is_not(None))
    return [select(concatenate(names)).select_from(steps).add_cte(steps, nest_here=True).scalar_subquery()]


def current_version(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    base = context.row(Base, row.state)
    current = base.select(base["version_id"], where=[of_any_dataset(base, row)])
    return value_or_null(context.one(field.fields, lambda each: [each["id"] == current.scalar_subquery()]))


def has_unpublished_changes(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    """Whether anything was changed since the working set was equal to its version; without one, ever."""
    base = context.row(Base, row.state)
    clean = base.select(base["revision"], where=[of_any_dataset(base, row), base["version_id"].is_not(None)])
    return boolean(row["revision"] != func.coalesce(clean.scalar_subquery(), sql("0")))


def event_cursor(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    event = context.row(DatasetEvent, row.state)
    last = select(func.max(event["number"])).select_from(event.origin()).where(of_any_dataset(event, row))
    key = {
        "dataset_id": row["id"],
        "revision": row["revision"],
        "number": func.coalesce(last.scalar_subquery(), sql("0")),
    }
    return unescaped(EVENTS.cursor(key.__getitem__))


def active_job(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """A dry run of a sync is not exclusive."""
    types = {name: field.fields[name] for name in EXCLUSIVE_TYPES}
    return value_or_null(context.one(types, lambda job: [of_any_dataset(job, row), *is_exclusive(job)], row.state))


DATASET_PERMISSIONS = ObjectType(
    "DatasetPermissions",
    {
        "label": permission(Scope.LABEL),
        "undo": permission(Scope.MANAGE),
        "upload": permission(Scope.MANAGE),
        "sync": permission(Scope.MANAGE),
        "publish": permission(Scope.MANAGE),
        "manage": permission(Scope.MANAGE),
        "rename": permission(Scope.MANAGE, unconfined=True),
    },
)
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
        "imageFormats": column("image_formats", is_list=True),
        "createdAt": column("created_at"),
        "updatedAt": column("updated_at"),
        "revision": column("revision", number),
        "viewerCan": NESTED,
        "statistics": NESTED,
        "labels": Field(labels, is_list=True),
        "label": one_by("name", lambda name: label_names([name])[0]),
        "labelers": Field(labelers, is_list=True),
        "sample": one_by("path", storable_or_none),
        "samples": page(SAMPLES, of_dataset),
        "currentVersion": Field(current_version, is_nullable=True),
        "hasUnpublishedChanges": Field(has_unpublished_changes),
        "version": one_by("name", storable_or_none, in_state=False),
        "versions": page(VERSIONS, of_dataset, in_state=False),
        "models": page(MODELS, of_dataset, in_state=False),
        "comparison": Field(compare),
        "deleteImpact": Field(delete_impact),
        "activeJob": Field(active_job, is_nullable=True),
        "jobs": page(JOBS, of_dataset),
        "changes": page(CHANGES, of_dataset),
        "eventCursor": Field(event_cursor),
        "embeddingModels": many(of_any_dataset),
        "comparesLooks": column("compares_looks", boolean),
        "duplicates": Field(duplicates),
    },
)


def matching(context: CompileContext, row: Row, field: SelectedField) -> Sequence[ColumnElement[bool]]:
    filter_: Mapping[str, Any] = field.argument("filter") or {}
    conditions: list[ColumnElement[bool]] = []
    if filter_.get("type") is not None:
        conditions.append(row["type"] == context.bind(Text(), str, filter_["type"]))
    name: Mapping[str, Any] = filter_.get("name") or {}
    if name.get("contains") is not None:
        pattern = context.bind(Text(), of_storable(containing), name["contains"])
        conditions.append(func.lower(row["name"]).like(pattern))
    if name.get("eq") is not None:
        conditions.append(row["name"] == context.bind(Text(), of_storable(str), name["eq"]))
    return conditions


DATASETS = Listing(
    ("Dataset",),
    dataset_order,
    matching=matching,
)
