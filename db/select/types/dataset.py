from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, func, select
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.filters import conditions, containing, label_names
from db.models import Dataset, Sample, Source
from db.pages import Kind, Order
from db.select.build import IDS, Build, Type
from db.select.connections import Listing, connection
from db.select.ids import decode
from db.select.rows import Row
from db.select.selection import Select
from db.select.text import Parts, array, assemble, number, or_null, text, value_or_null, word
from db.select.types.change import CHANGES
from db.select.types.fields import column, global_id
from db.select.types.job import ACTIVE, JOBS
from db.select.types.sample import SAMPLES

MOST_IDS = 1_000


def statistics(build: Build, row: Row, selected: Select) -> Parts:
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda each: number(_count(row, each.name)))


def _count(row: Row, name: str) -> ColumnElement[Any]:
    return row["total"] - row["labeled"] - row["pending"] if name == "unlabeled" else row[name]


def labels(build: Build, row: Row, selected: Select) -> Parts:
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

    (name, selects), *_ = selected.fields.items()
    return value_or_null(build.one_of(name, selects, active, row.scope))


def jobs(build: Build, row: Row, selected: Select) -> Parts:
    return connection(build, JOBS, selected, row.scope, lambda job: [job["dataset_id"] == row.scope.dataset_id])


def changes(build: Build, row: Row, selected: Select) -> Parts:
    return connection(build, CHANGES, selected, row.scope, lambda each: [each["dataset_id"] == row.scope.dataset_id])


def delete_impact(build: Build, row: Row, selected: Select) -> Parts:
    """Of `db.sharing`, for those who only ask."""
    chosen = build.row(Sample, row.scope)
    wanted = [chosen["dataset_id"] == row.scope.dataset_id, *_selected(build, chosen, selected.args["select"])]
    shared, there = _shared(build, row, chosen, wanted)

    def part(each: Select) -> Parts:
        match each.name:
            case "sampleCount":
                count = select(func.count()).select_from(chosen.origin()).where(*wanted)
                return number(count.scalar_subquery())
            case "sharedSources":
                return number(shared.with_only_columns(func.count(chosen["id"].distinct())).scalar_subquery())
            case _:
                users = shared.with_only_columns(there["id"])
                return build.many(each, lambda other: [*build.visible(other), other["id"].in_(users)])

    name, selects = selected.of_only_type()
    return build.fields(name, selects, part)


def _selected(build: Build, sample: Row, chosen: Mapping[str, Any]) -> Sequence[ColumnElement[bool]]:
    if chosen["ids"] is not None:
        return [sample["id"] == func.any(build.bind(IDS, sample_ids, chosen["ids"]))]
    return [conditions(chosen["filter"], sample.samples(), build.bind)]


def sample_ids(texts: Sequence[str]) -> list[int]:
    if not texts:
        raise Invalid("No samples are selected; name some ids, or give a filter.", code="EMPTY_SELECTION")
    if len(texts) > MOST_IDS:
        raise Invalid(f"At most {MOST_IDS} ids are taken in one call; for more, select by filter.", limit=MOST_IDS)
    return [decode(text, "Sample") or 0 for text in texts]


def _shared(build: Build, here: Row, sample: Row, wanted: Sequence[ColumnElement[bool]]) -> tuple[Any, Row]:
    """The chosen samples whose place in storage feeds live samples of other datasets; and those datasets."""
    source, there = build.row(Source, here.scope), build.row(Dataset)
    peer, user = build.row(Source, there.scope), build.row(Sample, there.scope)
    ours, theirs = (func.rtrim(each["input_path"], sql("'/'")).op("||")(sql("'/'")) for each in (here, there))
    place = ours.op("||")(source["path"])
    tables = [each.origin() for each in (sample, source, there, peer, user)]
    found = (
        select(sample["id"])
        .select_from(*tables)
        .where(
            *wanted,
            source["id"] == sample["source_id"],
            there["id"] != here.scope.dataset_id,
            there["deleted_at"].is_(None),
            func.starts_with(place, theirs),
            peer["dataset_id"] == there["id"],
            peer["status"] != sql("'GONE'"),
            peer["path"] == func.substr(place, func.length(theirs) + sql("1")),
            user["source_id"] == peer["id"],
        )
    )
    return found, there


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
        "createdAt": column("created_at"),
        "updatedAt": column("updated_at"),
        "revision": column("revision", number),
        "statistics": statistics,
        "labels": labels,
        "label": label,
        "labelers": labelers,
        "samples": samples,
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
