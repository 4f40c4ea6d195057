"""Annotations. A shape is stored as JSON: its type, and its fields under their public names:

{"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 30, "yMax": 40}
{"type": "Polygon" | "Polyline", "points": [{"x": 1, "y": 2}, …]}
{"type": "Circle", "center": {"x": 1, "y": 2}, "radius": 3}
{"type": "Point", "position": {"x": 1, "y": 2}}
"""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import JSONB

from db.postgres.models import Annotation, Label
from db.queries.compile_context import CompileContext, Field, ObjectType, SelectedField
from db.queries.json_text import NULL, Parts, array, boolean, concatenate, number, unescaped
from db.queries.rows import Row
from db.queries.types.fields import column, one, value, versioned_type


def label(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    joined = row.join(context.row(Label, row.state), lambda other: other["id"] == row["label_id"])
    json = context.nested(joined, field.fields)
    row.joins |= joined.joins
    return json


def shape(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    stored = row["shape"]
    cases = [
        (stored.op("->>")(sql("'type'")) == sql(f"'{name}'"), concatenate(context.object(name, stored, fields)))
        for name, fields in field.fields.items()
    ]
    return [case(*cases, else_=NULL)] if cases else [case((stored.is_(None), NULL), else_=sql("'{}'"))]


def attribute(name: str) -> Field:
    """Attributes that are not stored are false."""
    return value(
        lambda row: func.coalesce(row["attributes"].op("->>")(sql(f"'{name}'")), sql("'false'")),
        boolean,
    )


ANNOTATION = versioned_type(
    "Annotation",
    Annotation,
    {
        "label": Field(label),
        "labeledBy": column("labeled_by"),
        "labeledAt": column("labeled_at"),
        "origin": column("origin", unescaped),
        "confidence": column("confidence", number, is_nullable=True),
        "model": one(lambda model, annotation: model["id"] == annotation["model_id"], in_state=False),
        "isConfirmed": column("confirmed", boolean),
        "isDifficult": attribute("difficult"),
        "isTruncated": attribute("truncated"),
        "isOccluded": attribute("occluded"),
        "pose": value(lambda row: row["attributes"].op("->>")(sql("'pose'")), is_nullable=True),
        "shape": Field(shape, is_nullable=True),
    },
)


def member(shape: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    value: ColumnElement[Any] = shape.op("->")(sql(f"'{name}'"))
    return value


def position(context: CompileContext, shape: ColumnElement[Any], field: SelectedField) -> Parts:
    return context.nested(member(shape, field.name), field.fields)


def points(context: CompileContext, shape: ColumnElement[Any], field: SelectedField) -> Parts:
    name = context.name("point")
    values = func.jsonb_array_elements(member(shape, field.name))
    rows = values.table_valued("value", with_ordinality="n").render_derived(name=name)
    items = array(context.nested(sql(f"{name}.value", JSONB), field.fields), sql(f"{name}.n"))
    return [select(concatenate(items)).select_from(rows).scalar_subquery()]


NUMBER = Field(lambda _context, shape, field: number(member(shape, field.name)))
POSITION = Field(position)
POINTS = Field(points, is_list=True)

SHAPES = (
    ObjectType("BoundingBox", dict.fromkeys(("xMin", "yMin", "xMax", "yMax"), NUMBER)),
    ObjectType("Polygon", {"points": POINTS}),
    ObjectType("Polyline", {"points": POINTS}),
    ObjectType("Circle", {"center": POSITION, "radius": NUMBER}),
    ObjectType("Point", {"position": POSITION}),
    ObjectType("Position", dict.fromkeys(("x", "y"), NUMBER)),
)
