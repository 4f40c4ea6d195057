from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy
from sqlalchemy import BigInteger, ColumnElement, Integer, LargeBinary, Text, case, cast, func, select
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.formats.images import SHOWN_SIDE, SUFFIX_OF
from db.identity.urls import signed_sql
from db.postgres.models import Label, Sample, Source
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing
from db.queries.filters import (
    LabelFilter,
    SampleFilter,
    conditions,
    has_label_by_key,
    in_order_of_suggestions,
    is_one_of,
    labels_are_rare,
    single_label,
)
from db.queries.json_text import Encode, Parts, boolean, concatenate, moment, nullable, number, text, unescaped
from db.queries.nearest import Nearest, nearest_samples
from db.queries.orders import sample_order
from db.queries.pagination import Order, page_size
from db.queries.rows import DatasetState, Row
from db.queries.types.fields import DATASET_OF_ROW, column, many, value, versioned_type
from db.queries.types.label import stored_count as label_count

MIN_THUMBNAIL, MAX_THUMBNAIL = 16, 1024  # pixels of the longest side


def of_source(name: str, encode: Encode, *, is_nullable: bool = False) -> Field:
    encoded = nullable(encode) if is_nullable else encode
    return Field(lambda context, row, _field: encoded(source(context, row)[name]), is_nullable)


def source(context: CompileContext, row: Row) -> Row:
    return row.join(Row(context.name("f"), Source, row.state), lambda other: other["id"] == row["source_id"])


def labels(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The labels of a page are compiled to JSON once each, and looked up by id: samples share them."""
    if not row.is_page:
        return context.many(field.fields, lambda label: [label["id"] == func.any(row["label_ids"])], row.state)
    entries, label_id = labels_of_page(context, row, field), context.name("u")
    ids = func.unnest(row["label_ids"]).alias(label_id)
    entry = select(sql(f"{entries}.entries")).select_from(sqlalchemy.table(entries)).scalar_subquery()
    items = func.string_agg(entry.op("->>")(cast(sql(label_id), Text)), sql("','"))
    return ["[", select(items).select_from(ids).scalar_subquery(), "]"]


def labels_of_page(context: CompileContext, page: Row, field: SelectedField) -> str:
    """A table of the statement, with one row: the JSON of every label on the page, by id."""
    label = context.row(Label, page.state)
    json = concatenate(context.nested(label, field.fields)).label("item")
    ids = select(func.unnest(page["label_ids"]).distinct()).select_from(sqlalchemy.table(page.name))
    is_on_page = label["id"] == func.any(func.array(ids.scalar_subquery()))
    rows = label.select(label["id"].label("id"), json, where=[is_on_page, *label.conditions()])
    context.unbounded += 1
    limited = context.limited(rows, ["item"])
    entries = select(func.jsonb_object_agg(limited.c.id, limited.c.item).label("entries"))
    name = context.name("labels")
    page.tables.append(entries.cte(name).prefix_with("MATERIALIZED"))
    return name


def source_available(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    return boolean(source(context, row)["status"] == sql("'PRESENT'"))


def image_url(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    file = source(context, row)
    suffix = case((needs_rendition(file), sql("'.jpg'")), else_=suffix_of(file))
    return signed(context, func.concat(sql("'/images/'"), row["source_id"], suffix))


def original_url(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
    """The same where browsers show the file as it is."""
    file = source(context, row)
    folder = case((needs_rendition(file), sql("'/originals/'")), else_=sql("'/images/'"))
    return signed(context, func.concat(folder, row["source_id"], suffix_of(file)))


def needs_rendition(file: Row) -> ColumnElement[bool]:
    """As `is_shown` of `db.formats.images` says it of one file. Null where the format is not known."""
    is_large = func.greatest(file["width"], file["height"]) > sql(str(SHOWN_SIDE))
    return sqlalchemy.or_(file["format"] == sql("'TIFF'"), is_large)


def suffix_of(file: Row) -> ColumnElement[str]:
    others: list[tuple[ColumnElement[bool], ColumnElement[str]]] = [
        (file["format"] == sql(f"'{form}'"), sql(f"'{suffix}'")) for form, suffix in SUFFIX_OF.items() if form != "JPEG"
    ]
    return case(*others, else_=sql("'.jpg'"))


def thumbnail_url(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    size = context.bind(Integer(), thumbnail_size, field.argument("size"))
    return signed(context, func.concat(sql("'/thumbnails/'"), row["source_id"], sql("'/'"), size, sql("'.jpg'")))


def url_expires_at(context: CompileContext, _row: Row, _field: SelectedField) -> Parts:
    return moment(func.to_timestamp(context.input(BigInteger(), lambda inputs: inputs.links.expiry)))


def signed(context: CompileContext, path: ColumnElement[str]) -> Parts:
    base = context.input(Text(), lambda inputs: inputs.links.base)
    query = context.input(Text(), lambda inputs: inputs.links.query)
    key = context.input(LargeBinary(), lambda inputs: inputs.links.key)
    return text(signed_sql(path, base=base, query=query, key=key))


def thumbnail_size(size: int) -> int:
    if not MIN_THUMBNAIL <= size <= MAX_THUMBNAIL:
        message = f"A thumbnail's longest side has {MIN_THUMBNAIL} to {MAX_THUMBNAIL} pixels."
        raise Invalid(message, least=MIN_THUMBNAIL, most=MAX_THUMBNAIL)
    return size


@dataclass(frozen=True, slots=True)
class SimilarSample:
    row: Row
    distance: ColumnElement[Any]


def similar(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The samples of the same state whose vectors are nearest to the sample's. None where it has no vector."""
    state, before = row.state, context.unbounded

    def where(other: Row) -> Sequence[ColumnElement[bool]]:
        return [other["dataset_id"] == state.dataset_id, *other.conditions(), other["id"] != row["id"]]

    first = page_size(field.argument("first"), None, limit=context.page)
    model, source_id = field.argument("model"), row["source_id"]
    nearest = Nearest(context, state, where, model=model, source=source_id, must_exist=False, rows=first)
    other = context.row(Sample, state)
    nearest.join(other)
    item = concatenate(context.nested(SimilarSample(other, nearest.distance), field.fields)).label("item")
    rows = other.select(item, where=[other["dataset_id"] == state.dataset_id, *other.conditions()])
    listed = context.listed(rows.order_by(nearest.distance, other["id"]), before)
    return [select(listed).add_cte(*nearest.tables, nest_here=True).scalar_subquery()]


SIMILAR_SAMPLE = ObjectType(
    "SimilarSample",
    {
        "sample": Field(lambda context, similar, field: context.nested(similar.row, field.fields)),
        "distance": value(lambda similar: similar.distance, number),
    },
)
SAMPLE = versioned_type(
    "Sample",
    Sample,
    {
        "dataset": DATASET_OF_ROW,
        "path": column("path"),
        "directory": value(
            lambda row: func.rtrim(func.regexp_replace(row["path"], sql("'[^/]*$'"), sql("''")), sql("'/'"))
        ),
        "fileName": value(lambda row: func.split_part(row["path"], sql("'/'"), sql("-1"))),
        "size": of_source("size", number),
        "width": of_source("width", number, is_nullable=True),
        "height": of_source("height", number, is_nullable=True),
        "orientation": of_source("orientation", number, is_nullable=True),
        "format": of_source("format", unescaped, is_nullable=True),
        "state": column("state", unescaped),
        "labels": Field(labels, is_list=True),
        "annotations": many(lambda annotation, sample: annotation["sample_id"] == sample["id"]),
        "labeledBy": column("labeled_by", is_nullable=True),
        "labeledAt": column("labeled_at", is_nullable=True),
        "createdAt": column("created_at"),
        "addedAt": column("added_at"),
        "isHard": column("hard", boolean),
        "usage": column("usage", unescaped, is_nullable=True),
        "revision": column("since", number),
        "isSourceAvailable": Field(source_available),
        "isDamaged": of_source("damaged", boolean),
        "imageUrl": Field(image_url),
        "originalUrl": Field(original_url),
        "thumbnailUrl": Field(thumbnail_url),
        "urlExpiresAt": Field(url_expires_at),
        "similar": Field(similar, is_list=True),
    },
)


def matching(context: CompileContext, row: Row, field: SelectedField) -> Sequence[ColumnElement[bool]]:
    filter_ = field.argument("filter")
    if filter_ is None:
        return []
    context.custom_plan = context.costly = True
    return [conditions(filter_, row, context.bind)]


def few(context: CompileContext, row: Row, field: SelectedField, page: int) -> ColumnElement[bool] | None:
    filter_ = field.argument("filter")
    return None if filter_ is None else labels_are_rare(filter_, row, page, context.bind)


def indexed(context: CompileContext, row: Row, field: SelectedField, order: Order) -> ColumnElement[bool] | None:
    """The indexes of both orders by time have `labels_key`."""
    filter_ = field.argument("filter")
    if filter_ is None or order.column not in ("created_at", "added_at"):
        return None
    return has_label_by_key(filter_, row, context.bind)


def stored_count(context: CompileContext, state: DatasetState, sample_state: str | None) -> ColumnElement[Any]:
    """How many samples the row of the dataset or the version counts; in a labelling state, if given."""
    version = state.version
    type_name, id_ = ("Dataset", state.dataset_id) if version is None else ("Version", version.version_id)
    row = context.row(context.row_type(type_name).model)
    total = {
        None: row["total"],
        "LABELED": row["labeled"],
        "PENDING": row["pending"],
        "UNLABELED": row["total"] - row["labeled"] - row["pending"],
    }[sample_state]
    return row.select(total, where=[row["id"] == id_]).scalar_subquery()


def stored_count_of_label(context: CompileContext, state: DatasetState, labels: LabelFilter) -> ColumnElement[Any]:
    """How many samples have this one label: none, where the dataset or the version has no such label."""
    label = context.row(Label, state)
    count = label_count(context, label)
    is_label = [label["dataset_id"] == state.dataset_id, *label.conditions(), is_one_of(labels, label, context.bind)]
    return func.coalesce(label.select(count, where=is_label).scalar_subquery(), sql("0"))


def counted(context: CompileContext, state: DatasetState, field: SelectedField) -> ColumnElement[Any] | None:
    """Without a filter, or with one by state alone, the row of the dataset or the version has the number; with one by a
    single label, the label has it."""
    filter_: SampleFilter = field.argument("filter") or SampleFilter()
    if filter_ == SampleFilter(state=filter_.state):
        return stored_count(context, state, filter_.state)
    labels = single_label(filter_)
    return None if labels is None else stored_count_of_label(context, state, labels)


def order(context: CompileContext, field: SelectedField) -> Order:
    """By `createdAt`, suggestions of one label are in the order of the list in an index of their own."""
    of_samples, filter_ = sample_order(context, field), field.argument("filter")
    if filter_ is None or of_samples.column != "created_at":
        return of_samples

    def key(name: str) -> Callable[[Row], ColumnElement[Any]]:
        return lambda row: (in_order_of_suggestions(filter_, row, context.bind) or row.__getitem__)(name)

    return replace(of_samples, keys=tuple(replace(each, of=key(each.name)) for each in of_samples.keys))


SAMPLES = Listing(
    ("Sample",),
    order,
    matching=matching,
    nearest=nearest_samples,
    few=few,
    indexed=indexed,
    counted=counted,
)
