from typing import Annotated, Union

import strawberry

PIXELS = "pixels from the top left corner of the image as stored"


@strawberry.type(description=f"A place on an image, in {PIXELS}.")
class Position:
    x: float = strawberry.field(description="Pixels from the left.")
    y: float = strawberry.field(description="Pixels from the top.")


@strawberry.type(description=f"An upright rectangle, in {PIXELS}.")
class BoundingBox:
    x_min: float = strawberry.field(description="Left edge.")
    y_min: float = strawberry.field(description="Top edge.")
    x_max: float = strawberry.field(description="Right edge.")
    y_max: float = strawberry.field(description="Bottom edge.")


@strawberry.type(description="A closed area; the last point joins the first.")
class Polygon:
    points: list[Position] = strawberry.field(description="Its corners, in order.")


@strawberry.type(description="A line through several points.")
class PolyLine:
    points: list[Position] = strawberry.field(description="Its points, in order.")


@strawberry.type(description=f"A circle, in {PIXELS}.")
class Circle:
    center: Position = strawberry.field(description="Its middle.")
    radius: float = strawberry.field(description="Its radius in pixels.")


@strawberry.type(description="A single point.")
class PointShape:
    position: Position = strawberry.field(description="Where it is.")


Shape = Annotated[
    Union[BoundingBox, Polygon, PolyLine, Circle, PointShape],  # noqa: UP007
    strawberry.union("Shape", description="Where on an image a label belongs."),
]
