"""The orders of samples and of datasets. Each is read from an index, a page at a time."""

from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Double, Integer, Text, func, select
from sqlalchemy import literal_column as sql

from db.postgres.models import Source
from db.queries.compile_context import CompileContext, SelectedField
from db.queries.pagination import FRACTION, HASH, ID, MOMENT, NUMBER, TEXT, Key, Order, by_column, seed_key
from db.queries.rows import Row

# When a sample without labels was labelled. A microsecond earlier is -infinity for the driver, when it is in a cursor.
NEVER: ColumnElement[Any] = sql("timestamptz '0001-01-01 00:00:00.000001+00'")
BUCKETS = 1024  # of `shuffle_bucket`


def sample_order(context: CompileContext, field: SelectedField) -> Order:
    """The order in the argument `orderBy`; newest first without one."""
    by, descending = _requested(field)
    match by["field"]:
        case "PATH":
            return by_column("sample", "path_order", TEXT, descending=descending)
        case "ADDED_AT":
            return by_column("sample", "added_at", MOMENT, descending=descending)
        case "LABELED_AT":
            return _ordered("labeled_at", Key("labeled", MOMENT, labeled_at), ID, descending=descending)
        case "SIZE":
            size = Key("size", NUMBER, lambda row: source_of(row)["size"])
            return _ordered(None, size, Key("source_id", NUMBER, source_id), descending=descending)
        case "RANDOM":
            return shuffled(context, by.get("seed") or "", descending=descending)
        case "SUGGESTION_CONFIDENCE" | "SUGGESTION_MARGIN" | "SUGGESTION_ENTROPY" | "SUGGESTION_DISAGREEMENT" as name:
            context.custom_plan |= any(field.argument(side) is not None for side in ("after", "before"))
            filter_ = field.argument("filter")
            is_filtered = filter_ is not None and any(each.suggestions is not None for each in filter_.conjuncts())
            has_rest = not is_filtered or name == "SUGGESTION_DISAGREEMENT"
            return by_suggestions(name.lower(), descending=descending, has_rest=has_rest)
    return by_column("sample", "created_at", MOMENT, descending=descending)


def dataset_order(_context: CompileContext, field: SelectedField) -> Order:
    by, descending = _requested(field)
    if by["field"] == "NAME":
        return by_column("dataset", "name", TEXT, descending=descending, is_unique=True)
    return by_column("dataset", "created_at", MOMENT, descending=descending)


def _requested(field: SelectedField) -> tuple[Any, bool]:
    by = field.argument("orderBy") or {"field": "CREATED_AT", "direction": "DESC"}
    return by, by.get("direction") == "DESC"


def _ordered(column: str | None, *keys: Key, descending: bool) -> Order:
    return Order(f"sample.{keys[0].name}.{'down' if descending else 'up'}", keys, descending, column)


def labeled_at(row: Row) -> ColumnElement[Any]:
    """When a sample was last labelled: before all others, if never."""
    return func.coalesce(row["labeled_at"], NEVER)


def by_suggestions(column: str, *, descending: bool, has_rest: bool) -> Order:
    """By a column that few samples may have a value in; the others come last in either direction, and their key in
    cursors is a value that no sample has. Which of the two a cursor is among must be known to the planner. All samples
    with suggestions have a value, but for disagreement, which needs two models."""
    last = sql("'-Infinity'::float8" if descending else "'Infinity'::float8", Double)
    value = Key(column, FRACTION, lambda row: last if row.is_rest else row[column])
    name = f"sample.{column}.{'down' if descending else 'up'}"
    return Order(name, (value, Key("created_at", MOMENT), ID), descending, column, last=last, has_rest=has_rest)


def source_of(row: Row) -> Row:
    """The sample's source, in a statement that may read sources first."""
    source = Row(f"{row.name}_source", Source, row.state)
    is_shown = sqlalchemy.and_(source["id"] == row["source_id"], source["dataset_id"] == row["dataset_id"])
    row.sources.setdefault(source.name, (source.table(), is_shown))
    return source


def source_id(row: Row) -> ColumnElement[Any]:
    """In the table whose index sorts by it. No two samples of one state show the same source."""
    return source_of(row)["id"]


def shuffled(context: CompileContext, seed: Any, *, descending: bool) -> Order:
    """An order that only the seed tells. Sources are in buckets, by an index; a page reads the buckets in the order of
    their keyed hashes, and sorts by such hashes within each: of a million samples, a thousand at a time."""
    key = context.bind(Text(), seed_key, seed)

    def keyed(value: ColumnElement[Any]) -> ColumnElement[Any]:
        digest = func.left(func.md5(func.concat(key, sql("':'"), value)), sql(str(HASH)))
        return sqlalchemy.collate(digest, "C")

    def bucket_hash(row: Row) -> ColumnElement[Any]:
        name = f"{row.name}_bucket"
        numbers = func.generate_series(sql("0"), sql(str(BUCKETS - 1))).alias("b")
        hash_ = keyed(sql("b", Integer)).label("hash")
        buckets = select(sql("b", Integer).label("number"), hash_).select_from(numbers)
        sorted_ = buckets.order_by(hash_.desc() if row.descending else hash_).offset(sql("0")).subquery(name)
        is_in = func.shuffle_bucket(source_of(row)["id"]) == sorted_.c.number
        row.sources.setdefault(name, (sorted_, is_in))
        return sql(f"{name}.hash", Text)

    keys = (Key("bucket", TEXT, bucket_hash), Key("shuffled", TEXT, lambda row: keyed(source_id(row))))
    return Order(f"sample.random.{'down' if descending else 'up'}.", keys, descending, seed=(key, seed))
