"""What a format of datasets says to whoever writes one: the interface of all formats of this package.

One object of a class is one export: it may count, and it sees each image once, in the order of the images' numbers. An
export that goes on after a kill begins with a new object, which sees the images before again. So equal records make
equal bytes: no time, no random number, no set's order.

For each image `takes` is asked first, once; of those that it takes, the image's own bytes go to `image_path` (where
they are included), its own `files` next to it, and each of the `documents` gets its parts. Whoever calls keeps only the
present image in memory; the parts of documents are on disk until all are there. Paths are relative, with slashes;
whoever writes them has checked nothing: make them of `file_path`, `file_name` and `names.folder_name`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from db.errors import Invalid
from db.formats.annotations import FACTS, ParsedAnnotation
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, ImagesMode, Packing, is_confirmed

ALL_TYPES: Final = frozenset({"IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "IMAGE_SEGMENTATION"})
TYPE_NOUNS: Final = {
    "IMAGE_CLASSIFICATION": "image classification",
    "OBJECT_DETECTION": "object detection",
    "IMAGE_SEGMENTATION": "image segmentation",
}
GENERAL_OPTIONS: Final = frozenset({"packing", "max_file_bytes"})


@dataclass(frozen=True, slots=True)
class File:
    """A small file, whole in memory."""

    path: str
    data: bytes


class Document(ABC):
    """A file about many images, written in one pass over them. It may have several sections: what they get of each
    image is put behind one another at the end, section by section, as COCO's images and annotations are."""

    def __init__(self, path: str) -> None:
        self.path = path

    def head(self) -> Sequence[bytes]:
        """How each section begins; as many items as there are sections."""
        return (b"",)

    @abstractmethod
    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        """What each section gets of the image, which may be nothing."""

    def tail(self) -> Sequence[bytes]:
        """How each section ends, once all images are added."""
        return (b"",)


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a format cannot say. `message`: what was done instead, in one sentence that fits any number."""

    code: str
    message: str


@dataclass(slots=True)
class Losses:
    """How often each kind of loss was met, and at which image first. They become the job's warnings."""

    counts: Counter[Loss] = field(default_factory=Counter)
    first: dict[Loss, str] = field(default_factory=dict)

    def add(self, loss: Loss, image: AnnotatedImage, count: int = 1) -> None:
        if count:
            self.counts[loss] += count
            self.first.setdefault(loss, image.path)


SUGGESTIONS: Final = Loss("SUGGESTIONS", "Suggestions that nobody confirmed are left out.")
UNLABELED: Final = Loss("UNLABELED", "Images without labels are left out: nothing would tell them from empty ones.")
WITHOUT_LABEL: Final = Loss("WITHOUT_LABEL", "Images without a label are left out: they belong in no folder.")
POLYGONS_AS_BOXES: Final = Loss("POLYGONS_AS_BOXES", "Polygons are written as the boxes around them.")
CIRCLES_AS_BOXES: Final = Loss("CIRCLES_AS_BOXES", "Circles are written as the boxes around them.")
CIRCLES_AS_POLYGONS: Final = Loss("CIRCLES_AS_POLYGONS", "Circles are written as polygons.")
BOXES_AS_POLYGONS: Final = Loss("BOXES_AS_POLYGONS", "Boxes are written as polygons of four points.")
POLYLINES: Final = Loss("POLYLINES", "Lines are left out.")
POINTS: Final = Loss("POINTS", "Points are left out.")
WHOLE_IMAGE: Final = Loss("WHOLE_IMAGE", "Labels of whole images, without a shape, are left out.")
USAGE: Final = Loss("USAGE", "Usages of images are left out: the format has no place for them.")
USAGE_OF_FOLDER: Final = Loss(
    "USAGE_OF_FOLDER",
    "Images are in folders that are called like a usage that they do not have: readers take it for theirs.",
)
USAGE_IN_NO_SPLIT: Final = Loss(
    "USAGE_IN_NO_SPLIT", "Images whose usage is not TRAIN, EVAL or TEST are in no split: no file says their usage."
)
USAGE_NOT_SPLIT: Final = Loss(
    "USAGE_NOT_SPLIT",
    "Images are in one part, as `hasSplits` is false: no file says TRAIN, EVAL or TEST.",
)
HARD: Final = Loss("HARD", "`isHard` of images is left out: the format has no place for it.")
FIELDS: Final = ("isDifficult", "isTruncated", "isOccluded", "pose", "confidence", "labeledBy", "labeledAt")
OF_FACTS: Final = {
    name: Loss(name.upper(), f"`{field_name}` of annotations is left out: the format has no place for it.")
    for name, field_name in zip(FACTS, FIELDS, strict=True)
}
LEFT_OUT: Final = frozenset({POLYLINES, POINTS, WHOLE_IMAGE})  # annotations of which nothing is written


@dataclass(frozen=True, slots=True)
class Series:
    """Images whose files are packed apart from those of others, by usage. `usages` None: all. The name is part of the
    files' names; it may be empty."""

    name: str = ""
    usages: frozenset[str | None] | None = None


class Shard(Protocol):
    """A file that a format packs itself, such as Parquet. It ends when it is long enough, and another begins."""

    @property
    def pending(self) -> int:
        """Bytes of images that were added and not returned yet, about."""

    def add(self, image: AnnotatedImage, data: bytes | None) -> bytes:
        """An image, with its bytes where images are included. Returns what of the file is complete by then."""

    def finish(self) -> bytes:
        """The rest of the file."""


class Format:
    """The base of all formats. What a class does not say is: every dataset's type, no splits, an archive as the client
    wants it, images in the folder `images` under their own paths."""

    types: ClassVar[frozenset[str]] = ALL_TYPES
    # What may become of the images, first what does if the client does not say.
    images: ClassVar[tuple[ImagesMode, ...]] = ("NONE", "LINKS", "INCLUDED")
    options: ClassVar[frozenset[str]] = frozenset()  # of `Options`, in addition to those of all formats
    packing: ClassVar[Packing | None] = None  # what the format prescribes
    is_single_files: ClassVar[bool] = False  # without the images there is nothing but a few documents
    has_splits: ClassVar[bool] = False  # where a dataset is split, whoever calls leaves out images of no split
    says_suggestions: ClassVar[bool] = False
    says_hard: ClassVar[bool] = False
    says: ClassVar[frozenset[str]] = frozenset()  # of FACTS, those that the files have a place for
    shard_suffix: ClassVar[str | None] = None  # of a format that packs itself: `shard` makes its files
    max_shard_images: ClassVar[int | None] = None  # where what a file notes at its end takes memory

    def __init__(self, facts: DatasetFacts) -> None:
        self.facts = facts
        self.losses = Losses()
        self.documents: Sequence[Document] = ()

    @classmethod
    def check(cls, facts: DatasetFacts) -> None:
        """Raises Invalid where the dataset or the options do not fit. Formats may add checks."""

    def includes(self, image: AnnotatedImage) -> bool:
        """Whether the image is part of the export; a format counts what it leaves out as a loss."""
        return True

    def usage_said(self, image: AnnotatedImage) -> str | None:
        """The usage that our reader takes from the files for one of the images that are included. By default: where
        there are splits, theirs; else the files have a field for it."""
        return image.usage if self.facts.is_split or not self.has_splits else None

    def takes(self, image: AnnotatedImage) -> bool:
        """`includes`; and what the files do not say is counted, for all formats alike: suggestions, shapes, the usage,
        hard images, and what is known of the annotations that are written."""
        written = list[ParsedAnnotation]()
        for annotation in image.annotations:
            if not self.says_suggestions and not is_confirmed(annotation):
                self.losses.add(SUGGESTIONS, image)
                continue
            loss = self.shape_loss(annotation)
            if loss is not None:
                self.losses.add(loss, image)
            if loss not in LEFT_OUT:
                written.append(annotation)
        if not self.includes(image):
            return False
        if (loss := self._usage_loss(image)) is not None:
            self.losses.add(loss, image)
        if image.is_hard and not self.is_hard_said(image):
            self.losses.add(HARD, image)
        for annotation in written:
            said = self.said_of(annotation)
            for name in annotation.facts():
                self.losses.add(OF_FACTS[name], image, name not in said)
        return True

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        """What becomes of its shape that the format cannot say; one of `LEFT_OUT`: the annotation is not written."""
        return None

    def is_hard_said(self, image: AnnotatedImage) -> bool:
        """Whether our reader takes from the files that this image is hard."""
        return self.says_hard

    def said_of(self, annotation: ParsedAnnotation) -> Set[str]:
        """Those of FACTS that the files say of this annotation, if they are known."""
        return self.says

    def _usage_loss(self, image: AnnotatedImage) -> Loss | None:
        can_split = "has_splits" in self.options
        if can_split and self.facts.is_split and image.split is None:  # counted as those that are left out, also null
            return USAGE_IN_NO_SPLIT
        said = self.usage_said(image)
        if said == image.usage:
            return None
        if said is not None:
            return USAGE_OF_FOLDER
        if not can_split:
            return USAGE
        return USAGE_IN_NO_SPLIT if image.split is None else USAGE_NOT_SPLIT

    def image_path(self, image: AnnotatedImage) -> str:
        """Where the image's bytes go, if images are included."""
        return f"images/{image.file_path}"

    def copies(self, image: AnnotatedImage) -> Sequence[str]:
        """Where the image's bytes go once more."""
        return ()

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        """Files next to the image."""
        return ()

    def static_files(self) -> Sequence[File]:
        """Files about the whole dataset, known before the first image. Each of several archives has them."""
        return ()

    def final_files(self) -> Sequence[File]:
        """Files about the whole dataset that are made when all images have been seen."""
        return ()

    def series(self) -> Sequence[Series]:
        return (Series(),)

    def shard(self, series: Series) -> Shard:
        """The next file of a series, for formats with a `shard_suffix`."""
        raise TypeError(f"{type(self).__name__} has no shards.")

    def shard_name(self, series: Series, number: int) -> str:
        """A file's name without its suffix; the number is from 0."""
        name = "-".join(filter(None, (self.facts.name, series.name)))
        return f"{name}-{number + 1}" if number else name


def expect_fit(name: str, format_: type[Format], facts: DatasetFacts) -> None:
    """Raises Invalid where a dataset, its images or the options are nothing for a format."""
    if facts.type not in format_.types:
        raise Invalid(f"{name} is not a format for {TYPE_NOUNS[facts.type]} datasets.")
    if facts.images not in format_.images:
        raise Invalid(f"For {name}, `images` must be {' or '.join(format_.images)}, and is {facts.images}.")
    allowed = format_.options | GENERAL_OPTIONS
    for option in facts.options.__slots__:
        if getattr(facts.options, option) is not None and option not in allowed:
            raise Invalid(f"{name} has no option `{_camel(option)}`.", path=f"options.{_camel(option)}")
    packing = format_.packing if format_.shard_suffix is None else "FILES"
    if packing is not None and facts.options.packing not in (None, packing):
        message = f"For {name}, `packing` must be {packing}, and is {facts.options.packing}."
        raise Invalid(message, path="options.packing")
    format_.check(facts)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)
