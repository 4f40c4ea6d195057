from datetime import datetime
from typing import Annotated, Union

import strawberry

from schema.enums import AnnotationOrigin
from schema.types.label import Label
from schema.types.node import CURRENT_OF, VERSION_OF, LazyVersion, Node

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
class Polyline:
    points: list[Position] = strawberry.field(description="Its points, in order.")


@strawberry.type(description=f"A circle, in {PIXELS}.")
class Circle:
    center: Position = strawberry.field(description="Its middle.")
    radius: float = strawberry.field(description="Its radius in pixels.")


@strawberry.type(description="A single point.")
class Point:
    position: Position = strawberry.field(description="Where it is.")


Shape = Annotated[
    Union[BoundingBox, Polygon, Polyline, Circle, Point],  # noqa: UP007
    strawberry.union("Shape", description="Where on an image a label belongs."),
]


@strawberry.type(description="One label put on one sample, by somebody, at some time.")
class Annotation(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Annotation", strawberry.lazy("schema.types.annotation")] | None = strawberry.field(
        description=CURRENT_OF
    )
    label: Label = strawberry.field(description="The label that was put.")
    labeled_by: str = strawberry.field(description="Who put it: the name of a token, or `sync`.")
    labeled_at: datetime = strawberry.field(description="When it was put.")
    origin: AnnotationOrigin = strawberry.field(description="Where it came from.")
    confidence: float | None = strawberry.field(description="How sure the model was: 0–1; null for people.")
    is_confirmed: bool = strawberry.field(description="False for a machine suggestion that nobody has confirmed yet.")
    is_difficult: bool = strawberry.field(description="Hard to recognize, as a VOC file says.")
    is_truncated: bool = strawberry.field(description="Reaches beyond the image's edge, as a VOC file says.")
    is_occluded: bool = strawberry.field(description="Partly hidden by something else, as a VOC file says.")
    pose: str | None = strawberry.field(
        description="From which side it is seen, such as `Left`, as a VOC file says; null where it says nothing."
    )
    shape: Shape | None = strawberry.field(description="Where on the image; null for the whole image.")
