"""Shapes as clients send them, and as plain values."""

from collections.abc import Mapping
from typing import Any

import strawberry

from db.formats import shapes
from db.formats.shapes import Shape
from schema.inputs.limits import MAX_ITEMS
from schema.types.annotation import PIXELS

FROM_LEFT = "Pixels from the left: 0 to the image's width, inclusive. Rounded to a millionth."
FROM_TOP = "Pixels from the top: 0 to the image's height, inclusive. Rounded to a millionth."


@strawberry.input(description=f"A position on an image, in {PIXELS}.")
class PositionInput:
    x: float = strawberry.field(description=FROM_LEFT)
    y: float = strawberry.field(description=FROM_TOP)


@strawberry.input(description=f"An upright rectangle, in {PIXELS}.")
class BoundingBoxInput:
    x_min: float = strawberry.field(description="Left edge, 0 or more.")
    y_min: float = strawberry.field(description="Top edge, 0 or more.")
    x_max: float = strawberry.field(description="Right edge, more than `xMin` and at most the image's width.")
    y_max: float = strawberry.field(description="Bottom edge, more than `yMin` and at most the image's height.")


@strawberry.input(description="A closed area. The last point connects to the first, and does not need to repeat it.")
class PolygonInput:
    points: list[PositionInput] = strawberry.field(
        metadata={MAX_ITEMS: 10_001},
        description="The corners in order: at least 3 different points, at most 10,000.",
    )


@strawberry.input(description="A line through several points.")
class PolylineInput:
    points: list[PositionInput] = strawberry.field(
        metadata={MAX_ITEMS: 10_001},
        description="The points in order: at least 2 different points, at most 10,000.",
    )


@strawberry.input(description="A circle that is entirely within the image.")
class CircleInput:
    center: PositionInput = strawberry.field(description="The centre of the circle.")
    radius: float = strawberry.field(description="The radius in pixels, more than 0.")


@strawberry.input(description="A single point.")
class PointInput:
    position: PositionInput = strawberry.field(description="The position of the point.")


@strawberry.input(
    one_of=True,
    description="A shape on an image. Exactly one field must be given. The shape must be within the image. Object "
    "detection accepts all shapes, image segmentation only polygons, image classification none.",
)
class ShapeInput:
    bounding_box: BoundingBoxInput | None = strawberry.field(
        default=strawberry.UNSET, description="An upright rectangle."
    )
    polygon: PolygonInput | None = strawberry.field(default=strawberry.UNSET, description="A closed area.")
    polyline: PolylineInput | None = strawberry.field(
        default=strawberry.UNSET, description="A line through several points."
    )
    circle: CircleInput | None = strawberry.field(default=strawberry.UNSET, description="A circle.")
    point: PointInput | None = strawberry.field(default=strawberry.UNSET, description="A point.")


def plain_shape(value: Mapping[str, Any] | None) -> Shape | None:
    """A ShapeInput, coerced and not yet made an object, in plain values."""
    if value is None:
        return None
    [(name, shape)] = value.items()
    match name:
        case "boundingBox":
            return shapes.BoundingBox(shape["xMin"], shape["yMin"], shape["xMax"], shape["yMax"])
        case "polygon":
            return shapes.Polygon(tuple(map(position, shape["points"])))
        case "polyline":
            return shapes.Polyline(tuple(map(position, shape["points"])))
        case "circle":
            return shapes.Circle(position(shape["center"]), shape["radius"])
    return shapes.Point(position(shape["position"]))


def position(value: Mapping[str, float]) -> shapes.Position:
    return shapes.Position(value["x"], value["y"])
