"""Annotations. A shape is stored as JSON: its type, and its fields under their public names:

{"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 30, "yMax": 40}
{"type": "Polygon" | "PolyLine", "points": [{"x": 1, "y": 2}, …]}
{"type": "Circle", "center": {"x": 1, "y": 2}, "radius": 3}
{"type": "PointShape", "position": {"x": 1, "y": 2}}
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import JSONB

from db.postgres.models import Annotation, Label
from db.queries.compile_context import Build, Field, Type
from db.queries.json_text import NULL, Parts, array, assemble, flag, number, or_null, text, word
from db.queries.rows import Row
from db.queries.selection import Select
from db.queries.types.fields import column

PLACES = frozenset({"center", "position"})


def label(build: Build, row: Row, selected: Select) -> Parts:
    joined = row.join(build.row(Label, row.scope), lambda other: other["id"] == row["label_id"])
    type_name, selects = selected.of_only_type()
    inner = build.object(type_name, joined, selects)
    row.joins |= joined.joins
    return inner


def shape(build: Build, row: Row, selected: Select) -> Parts:
    stored = row["shape"]
    known = [
        (stored.op("->>")(sql("'type'")) == sql(f"'{name}'"), assemble(_shape(build, name, selects, stored)))
        for name, selects in selected.fields.items()
    ]
    return [case(*known, else_=NULL)] if known else [case((stored.is_(None), NULL), else_=sql("'{}'"))]


def _shape(build: Build, name: str, selects: Sequence[Select], stored: ColumnElement[Any]) -> Parts:
    def part(each: Select) -> Parts:
        value = stored.op("->")(sql(f"'{each.name}'"))
        if each.name == "points":
            return _points(build, each, value)
        return _position(build, each, value) if each.name in PLACES else number(value)

    return build.fields(name, selects, part)


def _position(build: Build, selected: Select, value: ColumnElement[Any]) -> Parts:
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda each: number(value.op("->")(sql(f"'{each.name}'"))))


def _points(build: Build, selected: Select, value: ColumnElement[Any]) -> Parts:
    name = build.name("point")
    point = func.jsonb_array_elements(value).table_valued("value", with_ordinality="n").render_derived(name=name)
    items = array(_position(build, selected, sql(f"{name}.value", JSONB)), sql(f"{name}.n"))
    return [select(assemble(items)).select_from(point).scalar_subquery()]


def attribute(name: str) -> Field:
    """Attributes that are not stored are false."""
    return lambda _build, row, _select: flag(func.coalesce(_attribute(row, name), sql("'false'")))


def pose(_build: Build, row: Row, _select: Select) -> Parts:
    return or_null(text)(_attribute(row, "pose"))


def _attribute(row: Row, name: str) -> ColumnElement[str]:
    found: ColumnElement[str] = row["attributes"].op("->>")(sql(f"'{name}'"))
    return found


ANNOTATION = Type(
    name="Annotation",
    model=Annotation,
    fields={
        "id": lambda _build, row, _select: ['"Annotation:', row["id"], '"'],
        "label": label,
        "labeledBy": column("labeled_by"),
        "labeledAt": column("labeled_at", text),
        "origin": column("origin", word),
        "confidence": column("confidence", or_null(number)),
        "confirmed": column("confirmed", flag),
        "difficult": attribute("difficult"),
        "truncated": attribute("truncated"),
        "occluded": attribute("occluded"),
        "pose": pose,
        "shape": shape,
    },
)
