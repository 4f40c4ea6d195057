from datetime import datetime
from typing import Annotated

import strawberry

from schema.enums import ImageFormat, SampleState, SampleUsage
from schema.types.annotation import Annotation
from schema.types.label import Label
from schema.types.node import CURRENT_OF, VERSION_OF, LazyDataset, LazyVersion, Node, compiled


@strawberry.type(description="One image of a dataset, with its labels.")
class Sample(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Sample", strawberry.lazy("schema.types.sample")] | None = strawberry.field(
        description=CURRENT_OF
    )
    dataset: LazyDataset = strawberry.field(description="The dataset it belongs to.")
    path: str = strawberry.field(description="Where the image lies below the dataset's input path.")
    directory: str = strawberry.field(description="`path` up to its last slash; empty at the top.")
    file_name: str = strawberry.field(description="`path` after its last slash, with the extension.")
    size: int = strawberry.field(description="Bytes of the file.")
    width: int | None = strawberry.field(description="Pixels across, as stored (before any EXIF rotation).")
    height: int | None = strawberry.field(description="Pixels down, as stored (before any EXIF rotation).")
    orientation: int | None = strawberry.field(
        description="EXIF's number, 1 to 8, for how browsers turn the image; 1 is not at all. They and thumbnails show "
        "images turned, while `width`, `height` and shapes are as stored: turn shapes alike to draw them there."
    )
    format: ImageFormat | None = strawberry.field(description="How the image is encoded.")
    state: SampleState = strawberry.field(description="How far its labelling is.")
    labels: list[Label] = strawberry.field(description="Its confirmed labels, each once, in the order of creation.")
    annotations: list[Annotation] = strawberry.field(
        description="Every label put on it, with who, when, and where on the image; suggestions too."
    )
    labeled_by: str | None = strawberry.field(description="Who last changed its labels; null when it has none.")
    labeled_at: datetime | None = strawberry.field(description="When its labels were last changed.")
    created_at: datetime = strawberry.field(
        description="When the image was made, as far as storage knows: the object's last-modified when it was added."
    )
    added_at: datetime = strawberry.field(description="When it came into the dataset.")
    is_hard: bool = strawberry.field(
        description="Whether it is marked as a hard example; a VOC sidecar marks it by `difficult`."
    )
    usage: SampleUsage | None = strawberry.field(description="What it is for, once a split decided.")
    revision: int = strawberry.field(description="The dataset's revision that last changed this sample.")
    is_source_available: bool = strawberry.field(description="Whether the image can still be had from storage.")
    is_damaged: bool = strawberry.field(
        description="Whether the file ends before its image does, as a sync or an import found it. `imageUrl` and "
        "`thumbnailUrl` then show the part that is there."
    )
    image_url: str = strawberry.field(
        description="The image itself. Signed; expires after about an hour; fit for `<img>`, needs no token."
    )

    @strawberry.field(description="A small upright JPEG of the image. Signed and expiring like `imageUrl`.")
    def thumbnail_url(
        self,
        size: Annotated[int, strawberry.argument(description="Pixels of the longest side: 16–1024.")] = 256,
    ) -> str:
        compiled()
