from datetime import datetime
from typing import Annotated, Union

import strawberry

from schema.enums import AnnotationOrigin
from schema.types.label import Label
from schema.types.model import Model
from schema.types.node import CURRENT_OF, VERSION_OF, LazyVersion, Node

PIXELS = "pixels from the top left corner of the stored image"


@strawberry.type(description=f"A position on an image, in {PIXELS}.")
class Position:
    x: float = strawberry.field(description="Pixels from the left.")
    y: float = strawberry.field(description="Pixels from the top.")


@strawberry.type(description=f"An upright rectangle, in {PIXELS}.")
class BoundingBox:
    x_min: float = strawberry.field(description="Left edge.")
    y_min: float = strawberry.field(description="Top edge.")
    x_max: float = strawberry.field(description="Right edge.")
    y_max: float = strawberry.field(description="Bottom edge.")


@strawberry.type(description="A closed area. The last point connects to the first.")
class Polygon:
    points: list[Position] = strawberry.field(description="The corners in order.")


@strawberry.type(description="A line through several points.")
class Polyline:
    points: list[Position] = strawberry.field(description="The points in order.")


@strawberry.type(description=f"A circle, in {PIXELS}.")
class Circle:
    center: Position = strawberry.field(description="The centre of the circle.")
    radius: float = strawberry.field(description="The radius in pixels.")


@strawberry.type(description="A single point.")
class Point:
    position: Position = strawberry.field(description="The position of the point.")


Shape = Annotated[
    Union[BoundingBox, Polygon, Polyline, Circle, Point],  # noqa: UP007
    strawberry.union("Shape", description="A shape on an image."),
]


@strawberry.type(description="A label on a sample, for the whole image or with a shape.")
class Annotation(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Annotation", strawberry.lazy("schema.types.annotation")] | None = strawberry.field(
        description=CURRENT_OF
    )
    label: Label = strawberry.field(description="The label.")
    labeled_by: str = strawberry.field(
        description="Who added the annotation or last changed it: the name of a token, `sync`, or what the files of an "
        "import say, which may be any name."
    )
    labeled_at: datetime = strawberry.field(description="When the annotation was added or last changed.")
    origin: AnnotationOrigin = strawberry.field(description="Where the annotation comes from.")
    confidence: float | None = strawberry.field(
        description="Confidence of the model, 0–1. Null if a person added the annotation."
    )
    model: Model | None = strawberry.field(
        description="The model that suggested the annotation as it is. It stays when the suggestion is accepted. Null "
        "if no model did, as for suggestions from an import, and after a correction."
    )
    is_confirmed: bool = strawberry.field(
        description="False for a suggestion of a model that nobody has confirmed yet."
    )
    is_difficult: bool = strawberry.field(
        description="Whether the object is hard to recognize: `difficult` in a VOC file."
    )
    is_truncated: bool = strawberry.field(
        description="Whether the object extends beyond the image: `truncated` in a VOC file."
    )
    is_occluded: bool = strawberry.field(description="Whether the object is partly hidden: `occluded` in a VOC file.")
    pose: str | None = strawberry.field(
        description="The side from which the object is seen, such as `Left`: `pose` in a VOC file. Null if not given."
    )
    shape: Shape | None = strawberry.field(
        description="The shape on the image. Null if the label applies to the whole image."
    )
