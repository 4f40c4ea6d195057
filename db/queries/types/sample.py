from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Integer, LargeBinary, Text, cast, func, select
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.identity.urls import SIGNATURE
from db.postgres.models import Label, Sample, Source
from db.queries.compile_context import Build, Field, Type
from db.queries.connections import Listing
from db.queries.filters.conditions import SampleFilter, conditions, few_carry_labels
from db.queries.json_text import Encode, Parts, assemble, flag, number, or_null, text, word
from db.queries.pagination import Kind, Order
from db.queries.rows import Row, Scope
from db.queries.selection import Select
from db.queries.types.fields import column, dataset, global_id

SMALLEST_THUMBNAIL, LARGEST_THUMBNAIL = 16, 1024  # pixels of the longest side


def of_source(name: str, encode: Encode) -> Field:
    return lambda build, row, _select: encode(source(build, row)[name])


def source(build: Build, row: Row) -> Row:
    return row.join(Row(build.name("f"), Source, row.scope), lambda other: other["id"] == row["source_id"])


def directory(_build: Build, row: Row, _select: Select) -> Parts:
    return text(func.rtrim(func.regexp_replace(row["path"], sql("'[^/]*$'"), sql("''")), sql("'/'")))


def file_name(_build: Build, row: Row, _select: Select) -> Parts:
    return text(func.split_part(row["path"], sql("'/'"), sql("-1")))


def labels(build: Build, row: Row, selected: Select) -> Parts:
    """The labels of a page are made once each, and handed out by id: samples share them."""
    if not row.is_page:
        return build.many(selected, lambda label: [label["id"] == func.any(row["label_ids"])], row.scope)
    entries, label_id = _label_entries(build, row, selected), build.name("u")
    ids = func.unnest(row["label_ids"]).alias(label_id)
    entry = select(sql(f"{entries}.entries")).select_from(sqlalchemy.table(entries)).scalar_subquery()
    found = func.string_agg(entry.op("->>")(cast(sql(label_id), Text)), sql("','"))
    return ["[", select(found).select_from(ids).scalar_subquery(), "]"]


def _label_entries(build: Build, page: Row, selected: Select) -> str:
    """A table of the statement, with one row: the JSON of every label on the page, by id."""
    type_name, selects = selected.of_only_type()
    label = build.row(Label, page.scope)
    json = assemble(build.object(type_name, label, selects)).label("item")
    ids = select(func.unnest(page["label_ids"]).distinct()).select_from(sqlalchemy.table(page.name))
    rows = select(label["id"].label("id"), json).select_from(label.origin())
    rows = rows.where(label["id"] == func.any(func.array(ids.scalar_subquery())), *label.holds())
    build.unbounded += 1
    found = build.within(rows, ["item"])
    entries = select(func.jsonb_object_agg(found.c.id, found.c.item).label("entries"))
    name = build.name("labels")
    page.gathered.append(entries.cte(name).prefix_with("MATERIALIZED"))
    return name


def annotations(build: Build, row: Row, selected: Select) -> Parts:
    return build.many(selected, lambda annotation: [annotation["sample_id"] == row["id"]], row.scope)


def source_available(build: Build, row: Row, _select: Select) -> Parts:
    return flag(source(build, row)["status"] == sql("'PRESENT'"))


def image_url(build: Build, row: Row, _select: Select) -> Parts:
    return signed(build, func.concat(sql("'/images/'"), row["source_id"]))


def thumbnail_url(build: Build, row: Row, selected: Select) -> Parts:
    size = build.bind(Integer(), thumbnail_size, selected.given("size"))
    return signed(build, func.concat(sql("'/thumbnails/'"), row["source_id"], sql("'/'"), size))


def signed(build: Build, path: ColumnElement[str]) -> Parts:
    """A URL that db.identity.urls will find good: it tells why it is made so."""
    base, query, key = (
        build.input(Text(), lambda inputs: inputs.links.base),
        build.input(Text(), lambda inputs: inputs.links.query),
        build.input(LargeBinary(), lambda inputs: inputs.links.key),
    )
    digest = func.encode(func.sha256(key.op("||")(func.convert_to(path, sql("'UTF8'")))), sql("'hex'"))
    return text(func.concat(base, path, query, func.left(digest, sql(str(SIGNATURE)))))


def thumbnail_size(size: int) -> int:
    if not SMALLEST_THUMBNAIL <= size <= LARGEST_THUMBNAIL:
        message = f"A thumbnail's longest side has {SMALLEST_THUMBNAIL} to {LARGEST_THUMBNAIL} pixels: ask for that."
        raise Invalid(message, least=SMALLEST_THUMBNAIL, most=LARGEST_THUMBNAIL)
    return size


SAMPLE = Type(
    name="Sample",
    model=Sample,
    is_node=True,
    fields={
        "id": global_id("Sample"),
        "dataset": dataset,
        "path": column("path"),
        "directory": directory,
        "fileName": file_name,
        "size": of_source("size", number),
        "width": of_source("width", or_null(number)),
        "height": of_source("height", or_null(number)),
        "orientation": of_source("orientation", or_null(number)),
        "format": of_source("format", or_null(word)),
        "state": column("state", word),
        "labels": labels,
        "annotations": annotations,
        "labeledBy": column("labeled_by", or_null(text)),
        "labeledAt": column("labeled_at", or_null(text)),
        "createdAt": column("created_at"),
        "addedAt": column("added_at"),
        "hard": column("hard", flag),
        "usage": column("usage", or_null(word)),
        "revision": column("since", number),
        "sourceAvailable": source_available,
        "isDamaged": of_source("damaged", flag),
        "imageUrl": image_url,
        "thumbnailUrl": thumbnail_url,
    },
)


def matching(build: Build, row: Row, selected: Select) -> Sequence[ColumnElement[bool]]:
    wanted = selected.given("filter")
    if wanted is None:
        return []
    build.by_values = build.costly = True
    return [conditions(wanted, row.samples(), build.bind)]


def few(build: Build, row: Row, selected: Select, page: int) -> ColumnElement[bool] | None:
    wanted = selected.given("filter")
    return None if wanted is None else few_carry_labels(wanted, row.samples(), page, build.bind)


def counted(build: Build, scope: Scope, selected: Select) -> ColumnElement[Any] | None:
    """Without a filter, or with one by state alone, the dataset or the version knows how many there are."""
    wanted: SampleFilter = selected.given("filter") or SampleFilter()
    if wanted != SampleFilter(state=wanted.state):
        return None
    known, id_ = ("Dataset", scope.dataset_id) if scope.pinned is None else ("Version", scope.pinned.version_id)
    head = build.row(build.types[known].model)
    total = {
        None: head["total"],
        "LABELED": head["labeled"],
        "PENDING": head["pending"],
        "UNLABELED": head["total"] - head["labeled"] - head["pending"],
    }[wanted.state]
    return select(total).select_from(head.origin()).where(head["id"] == id_).scalar_subquery()


SAMPLES = Listing(
    type="Sample",
    orders={
        "NEWEST": Order("sample.newest", (("created_at", Kind.MOMENT), ("id", Kind.NUMBER)), descending=True),
        "OLDEST": Order("sample.oldest", (("created_at", Kind.MOMENT), ("id", Kind.NUMBER))),
        "PATH": Order("sample.path", (("path", Kind.TEXT),)),
    },
    matching=matching,
    few=few,
    counted=counted,
)
