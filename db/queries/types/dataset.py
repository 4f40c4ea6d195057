from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy import literal_column as sql

from db.postgres.models import Dataset, Sample
from db.queries.compile_context import Build, Type
from db.queries.connections import Listing, connection
from db.queries.filters.conditions import containing, label_names
from db.queries.json_text import Parts, array, assemble, number, or_null, text, value_or_null, word, words
from db.queries.pagination import Kind, Order
from db.queries.rows import Row
from db.queries.selection import Select
from db.queries.types.change import CHANGES
from db.queries.types.comparison import compare
from db.queries.types.delete_impact import delete_impact
from db.queries.types.fields import column, global_id
from db.queries.types.job import ACTIVE, FILLING_TYPES, JOBS
from db.queries.types.sample import SAMPLES
from db.queries.types.version import current_version, has_unpublished_changes, statistics, versions


def labels(build: Build, row: Row, selected: Select) -> Parts:
    build.costly = True
    return build.many(selected, lambda label: [label["dataset_id"] == row.scope.dataset_id], row.scope)


def label(build: Build, row: Row, selected: Select) -> Parts:
    name = build.bind(Text(), lambda given: label_names([given])[0], selected.given("name"))
    return value_or_null(
        build.one(selected, lambda each: [each["dataset_id"] == row.scope.dataset_id, each["name"] == name], row.scope)
    )


def labelers(build: Build, row: Row, _select: Select) -> Parts:
    """Each who last labelled something: one step in the index for each of them, not one for each sample."""
    who, found = build.name("who"), build.name("labelers")
    first, following = _next_labeler(build, row, None), _next_labeler(build, row, sql(f"{found}.{who}"))
    steps = select(first.label(who)).cte(found, recursive=True)
    steps = steps.union_all(select(following).select_from(steps).where(steps.c[who].is_not(None)))
    build.unbounded, build.costly = build.unbounded + 1, True
    names = array(text(steps.c[who]), steps.c[who], only=steps.c[who].is_not(None))
    return [select(assemble(names)).select_from(steps).add_cte(steps, nest_here=True).scalar_subquery()]


def _next_labeler(build: Build, row: Row, after: ColumnElement[Any] | None) -> Any:
    sample = build.row(Sample, row.scope)
    who = sample["labeled_by"]
    return (
        select(who)
        .select_from(sample.origin())
        .where(sample["dataset_id"] == row.scope.dataset_id, who.is_not(None) if after is None else who > after)
        .order_by(who)
        .limit(sql("1"))
        .scalar_subquery()
    )


def samples(build: Build, row: Row, selected: Select) -> Parts:
    return connection(build, SAMPLES, selected, row.scope, lambda each: [each["dataset_id"] == row.scope.dataset_id])


def active_job(build: Build, row: Row, selected: Select) -> Parts:
    def active(job: Row) -> Sequence[ColumnElement[bool]]:
        return [job["dataset_id"] == row.scope.dataset_id, job["status"].in_(ACTIVE)]

    return value_or_null(build.one_of_any(FILLING_TYPES, selected, active, row.scope))


def jobs(build: Build, row: Row, selected: Select) -> Parts:
    return connection(build, JOBS, selected, row.scope, lambda job: [job["dataset_id"] == row.scope.dataset_id])


def changes(build: Build, row: Row, selected: Select) -> Parts:
    return connection(build, CHANGES, selected, row.scope, lambda each: [each["dataset_id"] == row.scope.dataset_id])


DATASET = Type(
    name="Dataset",
    model=Dataset,
    is_node=True,
    fields={
        "id": global_id("Dataset"),
        "name": column("name"),
        "description": column("description"),
        "type": column("type", word),
        "inputPath": column("input_path"),
        "outputPath": column("output_path", or_null(text)),
        "include": column("include", words),
        "exclude": column("exclude", words),
        "labelNames": column("label_names", word),
        "createdAt": column("created_at"),
        "updatedAt": column("updated_at"),
        "revision": column("revision", number),
        "statistics": statistics,
        "labels": labels,
        "label": label,
        "labelers": labelers,
        "samples": samples,
        "currentVersion": current_version,
        "hasUnpublishedChanges": has_unpublished_changes,
        "versions": versions,
        "compare": compare,
        "deleteImpact": delete_impact,
        "activeJob": active_job,
        "jobs": jobs,
        "changes": changes,
    },
)


def matching(build: Build, row: Row, selected: Select) -> Sequence[ColumnElement[bool]]:
    wanted: Mapping[str, Any] = selected.given("filter") or {}
    found: list[ColumnElement[bool]] = []
    if wanted.get("type") is not None:
        found.append(row["type"] == build.bind(Text(), str, wanted["type"]))
    if wanted.get("nameContains") is not None:
        found.append(func.lower(row["name"]).like(build.bind(Text(), containing, wanted["nameContains"])))
    return found


DATASETS = Listing(
    type="Dataset",
    orders={
        "NEWEST": Order("dataset.newest", (("created_at", Kind.MOMENT), ("id", Kind.NUMBER)), descending=True),
        "OLDEST": Order("dataset.oldest", (("created_at", Kind.MOMENT), ("id", Kind.NUMBER))),
        "NAME": Order("dataset.name", (("name", Kind.TEXT),)),
    },
    matching=matching,
)
