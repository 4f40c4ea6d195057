from typing import Annotated

import strawberry

from schema.types.node import CURRENT_OF, VERSION_OF, LazyDataset, LazyVersion, Node


@strawberry.type(description="A name that samples of one dataset can carry.")
class Label(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Label", strawberry.lazy("schema.types.label")] | None = strawberry.field(description=CURRENT_OF)
    dataset: LazyDataset = strawberry.field(description="The dataset it belongs to.")
    name: str = strawberry.field(
        description="As the dataset's `labelNames` allow: by default 1–32 characters of `A–Z a–z 0–9 _ -` and Han "
        "ideographs. Case-sensitive, and unique in its dataset."
    )
    color: str | None = strawberry.field(description="`#rrggbb` in lower case, for drawing.")
    shortcut: str | None = strawberry.field(description="One character that picks the label; unique in its dataset.")
    sample_count: int = strawberry.field(description="How many samples carry it (confirmed).")
    annotation_count: int = strawberry.field(
        description="How many times it was put: more than `sampleCount` where a sample has several shapes of it."
    )
