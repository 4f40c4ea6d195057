from datetime import datetime

import strawberry

from schema.enums import AnnotationOrigin
from schema.types.label import Label
from schema.types.shape import Shape


@strawberry.type(description="One label put on one sample, by somebody, at some time.")
class Annotation:
    id: strawberry.ID = strawberry.field(description="Its id; never used again for another.")
    label: Label = strawberry.field(description="The label that was put.")
    labeled_by: str = strawberry.field(description="Who put it: the name of a token, or `sync`.")
    labeled_at: datetime = strawberry.field(description="When it was put.")
    origin: AnnotationOrigin = strawberry.field(description="Where it came from.")
    confidence: float | None = strawberry.field(description="How sure the model was: 0–1; null for people.")
    confirmed: bool = strawberry.field(description="False for a machine suggestion that nobody has confirmed yet.")
    difficult: bool = strawberry.field(description="Hard to recognize, as a VOC file says.")
    truncated: bool = strawberry.field(description="Reaches beyond the image's edge, as a VOC file says.")
    occluded: bool = strawberry.field(description="Partly hidden by something else, as a VOC file says.")
    pose: str | None = strawberry.field(
        description="From which side it is seen, such as `Left`, as a VOC file says; null where it says nothing."
    )
    shape: Shape | None = strawberry.field(description="Where on the image; null for the whole image.")
