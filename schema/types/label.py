from typing import Annotated

import strawberry

from schema.types.node import CURRENT_OF, VERSION_OF, LazyDataset, LazyVersion, Node


@strawberry.type(description="A label (class) of a dataset, which its samples can have.")
class Label(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Label", strawberry.lazy("schema.types.label")] | None = strawberry.field(description=CURRENT_OF)
    dataset: LazyDataset = strawberry.field(description="The dataset that it belongs to.")
    name: str = strawberry.field(
        description="Name, case-sensitive and unique in the dataset. It follows the dataset's `labelNames`: by default "
        "1–32 characters of `A–Z a–z 0–9 _ -` and Han ideographs."
    )
    color: str | None = strawberry.field(description="Display colour: `#rrggbb` in lower case. Null for none.")
    shortcut: str | None = strawberry.field(
        description="Keyboard shortcut: one character, unique in the dataset. Null for none."
    )
    sample_count: int = strawberry.field(description="Number of samples with a confirmed annotation with this label.")
    annotation_count: int = strawberry.field(
        description="Number of confirmed annotations with this label: more than `sampleCount` if a sample has several "
        "shapes of it."
    )
    suggestion_count: int = strawberry.field(
        description="Number of suggestions with this label that nobody has decided: annotations that are not confirmed."
    )
