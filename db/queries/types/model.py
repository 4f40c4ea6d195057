from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, case, cast, func
from sqlalchemy import literal_column as sql

from db.postgres.models import Model, SuggestionCount
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Listing
from db.queries.json_text import Parts, concatenate, nullable, number
from db.queries.pagination import ID, Order
from db.queries.rows import Row
from db.queries.types.fields import DATASET_OF_ROW, column, node_type, one

Counts = Callable[[str], ColumnElement[Any]]  # a column of `suggestion_count`, or its sum
DECIDED = ("accepted", "rejected", "corrected")


def total(counts: Counts, *names: str) -> ColumnElement[Any]:
    first, *others = (counts(name) for name in names)
    return sum(others, first)


def precision(counts: Counts) -> ColumnElement[Any]:
    decided = total(counts, *DECIDED)
    return case((decided > sql("0"), cast(counts("accepted"), Double) / cast(decided, Double)))


FIELDS: dict[str, Callable[[Counts], ColumnElement[Any]]] = {
    "suggestedCount": lambda counts: total(counts, "pending", *DECIDED),
    "pendingCount": lambda counts: counts("pending"),
    "acceptedCount": lambda counts: counts("accepted"),
    "rejectedCount": lambda counts: counts("rejected"),
    "correctedCount": lambda counts: counts("corrected"),
}


def summed(make: Callable[[Counts], ColumnElement[Any]]) -> Callable[[CompileContext, Row], ColumnElement[Any]]:
    """Over all labels of a model."""

    def compiled(context: CompileContext, model: Row) -> ColumnElement[Any]:
        counts = context.row(SuggestionCount, model.state)
        made = make(lambda name: func.coalesce(func.sum(counts[name]), sql("0", BigInteger)))
        return counts.select(made, where=[counts["model_id"] == model["id"]]).scalar_subquery()

    return compiled


def field_of_model(make: Callable[[Counts], ColumnElement[Any]]) -> Field:
    of_model = summed(make)
    return Field(lambda context, model, _field: number(of_model(context, model)))


def field_of_label(make: Callable[[Counts], ColumnElement[Any]]) -> Field:
    return Field(lambda _context, counts, _field: number(make(counts.__getitem__)))


def labels(context: CompileContext, model: Row, field: SelectedField) -> Parts:
    before = context.unbounded
    counts = context.row(SuggestionCount, model.state)
    item = concatenate(context.nested(counts, field.fields)).label("item")
    is_used = total(counts.__getitem__, "pending", *DECIDED) > sql("0")
    rows = counts.select(item, where=[counts["model_id"] == model["id"], is_used])
    return [context.listed(rows.order_by(counts["label_id"]), before)]


MODEL = node_type(
    "Model",
    Model,
    {
        "dataset": DATASET_OF_ROW,
        "name": column("name"),
        "modelVersion": column("version"),
        "createdAt": column("created_at"),
        "lastSuggestedAt": column("suggested_at"),
        **{name: field_of_model(make) for name, make in FIELDS.items()},
        "precision": Field(
            lambda context, model, _field: nullable(number)(summed(precision)(context, model)), is_nullable=True
        ),
        "labels": Field(labels, is_list=True),
    },
)
MODEL_LABEL = ObjectType(
    "ModelLabel",
    {
        "label": one(lambda label, counts: label["id"] == counts["label_id"], is_nullable=False),
        **{name: field_of_label(make) for name, make in FIELDS.items()},
        "precision": Field(
            lambda _context, counts, _field: nullable(number)(precision(counts.__getitem__)), is_nullable=True
        ),
    },
)

MODELS = Listing(("Model",), lambda *_: Order("model", (ID,), descending=True))
