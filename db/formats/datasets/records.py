"""What is exported: a dataset's facts, and one image after the other with all that is said of it.

Formats write these records, whatever database and storage they come from. Shapes are in stored pixels, as everywhere;
`AnnotatedImage.upright` has them as viewers show the image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from db.formats import shapes
from db.formats.annotations import ParsedAnnotation
from db.formats.shapes import Raster
from db.formats.timestamps import format_timestamp

ImagesMode = Literal["NONE", "LINKS", "INCLUDED"]
Packing = Literal["ZIP", "TAR", "FILES"]
SeveralLabels = Literal["OMIT", "FIRST", "COPY"]
Segmentation = Literal["POLYGONS", "RLE"]
YoloTask = Literal["DETECT", "SEGMENT", "ORIENTED_BOXES", "CLASSIFY"]
# The splits of the field, by usage. INFERENCE and no usage are in none.
SPLITS: Final[Mapping[str, str]] = {"TRAIN": "train", "EVAL": "val", "TEST": "test"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a client wants an export. None: as the format does by default. A format lists those that it has."""

    packing: Packing | None = None
    max_file_bytes: int | None = None
    has_splits: bool | None = None  # False: one part, whatever the usages
    several_labels: SeveralLabels | None = None
    yolo_task: YoloTask | None = None
    segmentation: Segmentation | None = None


@dataclass(frozen=True, slots=True)
class DatasetLabel:
    """A label. `number`: from 0, in the order in which labels were made, which later labels do not change."""

    number: int
    name: str
    color: str | None = None
    shortcut: str | None = None


@dataclass(frozen=True)
class DatasetFacts:
    """What is true of a whole export, known before its first image.

    `usages`: how many images have each usage; `states`: how many are in each state.
    """

    name: str
    type: str
    labels: tuple[DatasetLabel, ...]
    usages: Mapping[str | None, int]
    states: Mapping[str, int]
    images: ImagesMode = "NONE"
    options: Options = Options()
    description: str = ""
    version: str | None = None  # its name, where a version is exported
    input_path: str = ""
    location: str = ""  # of the folder that the export is written to, ending with a slash

    @property
    def image_count(self) -> int:
        return sum(self.states.values())

    @cached_property
    def label_numbers(self) -> Mapping[str, int]:
        return {label.name: label.number for label in self.labels}

    @property
    def is_split(self) -> bool:
        """Whether the images are divided for training and evaluation, and the client wants the parts apart."""
        return self.options.has_splits is not False and any(self.usages.get(usage) for usage in SPLITS)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the parts that have images, of `train`, `val` and `test`. None are, where nothing is split."""
        return tuple(name for usage, name in SPLITS.items() if self.usages.get(usage)) if self.is_split else ()


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of an export.

    `file_path`: its path, as an archive may have it: never absolute, without `..` or anything that a file system
    refuses, and with a stem that no other image of the export has in any case of its letters.
    `file_name`: the same without directories, unique in the whole export.
    """

    id: int
    number: int  # from 1, in the order of paths
    path: str
    file_path: str
    file_name: str
    format: str  # JPEG, PNG, BMP, WEBP, TIFF, GIF or AVIF
    size: int  # bytes
    raster: Raster
    state: str  # LABELED, PENDING or UNLABELED
    usage: str | None = None  # TRAIN, EVAL, TEST or INFERENCE
    is_hard: bool = False
    annotations: tuple[ParsedAnnotation, ...] = ()  # suggestions included: `is_confirmed` tells them apart
    url: str | None = field(default=None)  # signed, for LINKS
    etag: str = ""  # changes with the content

    @property
    def split(self) -> str | None:
        """`train`, `val` or `test`; None where its usage is none of them."""
        return SPLITS.get(self.usage or "")

    @property
    def confirmed(self) -> tuple[ParsedAnnotation, ...]:
        """Without suggestions that nobody confirmed."""
        return tuple(annotation for annotation in self.annotations if is_confirmed(annotation))

    @property
    def upright(self) -> "AnnotatedImage":
        """As viewers show it, and most readers of images: turned by its EXIF orientation, with shapes that fit."""
        if self.raster.orientation == 1:
            return self
        turned = tuple(
            annotation
            if annotation.shape is None
            else replace(annotation, shape=shapes.to_upright(annotation.shape, self.raster))
            for annotation in self.annotations
        )
        return replace(self, raster=Raster(*self.raster.upright), annotations=turned)


def is_confirmed(annotation: ParsedAnnotation) -> bool:
    return annotation.author is None or annotation.author.confirmed


def who_and_when(annotation: ParsedAnnotation) -> dict[str, str]:
    """Who put it, and when, as formats say it that have no names of their own for these."""
    author = annotation.author
    if author is None:
        return {}
    return {"labeled_by": author.by} | ({} if author.at is None else {"labeled_at": format_timestamp(author.at)})
