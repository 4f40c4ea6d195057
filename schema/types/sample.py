from datetime import datetime
from typing import Annotated

import strawberry

from schema.enums import ImageFormat, SampleState, SampleUsage
from schema.inputs.models import ModelInput
from schema.inputs.near import MODEL
from schema.types.annotation import Annotation
from schema.types.label import Label
from schema.types.node import CURRENT_OF, VERSION_OF, LazyDataset, LazyVersion, Node, compiled

DISTANCE = "1 − the cosine of the angle between both vectors: 0 for the same direction, up to 2 for the opposite one."


@strawberry.type(description="An image of a dataset, with its labels.")
class Sample(Node):
    version: LazyVersion | None = strawberry.field(description=VERSION_OF)
    current: Annotated["Sample", strawberry.lazy("schema.types.sample")] | None = strawberry.field(
        description=CURRENT_OF
    )
    dataset: LazyDataset = strawberry.field(description="The dataset that it belongs to.")
    path: str = strawberry.field(description="Path of the image below the dataset's input path.")
    directory: str = strawberry.field(description="The part of `path` before its last slash. Empty at the top level.")
    file_name: str = strawberry.field(description="The part of `path` after its last slash, including the extension.")
    size: int = strawberry.field(description="Size of the file in bytes.")
    width: int | None = strawberry.field(
        description="Width of the stored image in pixels, before any EXIF rotation. Null if unknown."
    )
    height: int | None = strawberry.field(
        description="Height of the stored image in pixels, before any EXIF rotation. Null if unknown."
    )
    orientation: int | None = strawberry.field(
        description="Orientation as EXIF numbers it, 1–8; 1 means not rotated. Browsers and thumbnails apply it, but "
        "`width`, `height` and shapes refer to the stored image: transform shapes in the same way to draw them. Null "
        "if unknown."
    )
    format: ImageFormat | None = strawberry.field(
        description="Format of the image, detected from its content. Null if unknown."
    )
    state: SampleState = strawberry.field(description="The labelling state of the sample.")
    labels: list[Label] = strawberry.field(description="The confirmed labels, each once, in the order of creation.")
    annotations: list[Annotation] = strawberry.field(description="All annotations, including unconfirmed suggestions.")
    labeled_by: str | None = strawberry.field(
        description="Who last changed the labels. Null if the sample has no labels."
    )
    labeled_at: datetime | None = strawberry.field(
        description="When the labels were last changed. Null if the sample has no labels."
    )
    created_at: datetime = strawberry.field(
        description="When the image was created, as far as storage knows: the last-modified time of its file when it "
        "was added."
    )
    added_at: datetime = strawberry.field(description="When the sample was added to the dataset.")
    is_hard: bool = strawberry.field(
        description="Whether the sample is marked as a hard example. VOC label files mark it with `difficult`."
    )
    usage: SampleUsage | None = strawberry.field(
        description="What the sample is used for: set by `updateSamples`, by an import, or in a version by its split. "
        "Null if not set."
    )
    revision: int = strawberry.field(description="The dataset revision that last changed this sample.")
    is_source_available: bool = strawberry.field(description="Whether the image is still available in storage.")
    is_damaged: bool = strawberry.field(
        description="Whether the image file is truncated, as found by a sync or an import. `imageUrl` and "
        "`thumbnailUrl` then show the part that can be decoded."
    )
    image_url: str = strawberry.field(
        description="URL of the image, usable in `<img>`; its path ends in the suffix of its format, such as `.jpg`. "
        "Of an image that browsers cannot show (TIFF, or more than 16,384 pixels wide or high) it is the URL of an "
        "upright JPEG, at most 16,384 pixels wide and high. Signed: it needs no token, and expires at `urlExpiresAt`."
    )
    original_url: str = strawberry.field(
        description="URL of the image file as it is stored. The same as `imageUrl`, unless browsers cannot show the "
        "image. Signed: it needs no token, and expires at `urlExpiresAt`."
    )

    url_expires_at: datetime = strawberry.field(
        description="When `imageUrl`, `originalUrl` and `thumbnailUrl` expire: by default after an hour or a little "
        "more. They stop working earlier if the token is revoked or expires."
    )

    @strawberry.field(
        description="URL of a small upright JPEG of the image; its path ends in `.jpg`. Signed: it needs no token, and "
        "expires at `urlExpiresAt`."
    )
    def thumbnail_url(
        self,
        size: Annotated[int, strawberry.argument(description="Longest side in pixels: 16–1,024.")] = 256,
    ) -> str:
        compiled()

    @strawberry.field(
        description="The samples that look most like this one, the nearest first, by the distances of their "
        "embeddings. In a version, those of the version. Empty if the sample has no embedding. Needs `EMBEDDINGS` in "
        "`serverInfo { features }`."
    )
    def similar(
        self,
        first: Annotated[int, strawberry.argument(description="How many: 0 to `serverInfo { maxPageSize }`.")] = 10,
        model: Annotated[ModelInput | None, strawberry.argument(description=MODEL)] = None,
    ) -> list[Annotated["SimilarSample", strawberry.lazy("schema.types.sample")]]:
        compiled()


@strawberry.type(description="A sample, and how far it is from what it is compared with.")
class SimilarSample:
    sample: Sample = strawberry.field(description="The sample.")
    distance: float = strawberry.field(description=DISTANCE)
