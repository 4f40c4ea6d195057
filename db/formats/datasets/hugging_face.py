"""Hugging Face: folders of images with `metadata.jsonl`, and files of Parquet that contain images. Both have the same
columns; pixels are those of the upright image, which `datasets` shows.

Labels of whole images are in `labels`, and the first of them in `label`, boxes in `objects`, each as x, y, width and
height, with the outline of what is no box. Both have, one for each label or box, who put it and when, and Parquet also
the confidence: in JSON a column of nothing but nulls has no type, and `datasets` refuses a split without any confidence
if another has some. Of labels, boxes and outlines one line of such a split has an empty one. `README.md` says which
files are which split; where nothing is split all are called `train`, and `usage` says what the usage is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar, Final

import orjson

from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.format import (
    CIRCLES_AS_BOXES,
    POINTS,
    POLYLINES,
    Document,
    File,
    Format,
    Loss,
)
from db.formats.datasets.outlines import around, coordinates, corner_and_size
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, who_and_when
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline

NAMES: Final = {"train": "train", "val": "validation", "test": "test"}  # of splits
UNSPLIT: Final = "train"  # what `datasets` calls what is not split
WHO_AND_WHEN: Final = ("labeled_by", "labeled_at")
NAMELESS: Final = Loss(
    "NAMELESS",
    "A split has no label, or no shape, where another has some: one of its images has one without a name, as columns "
    "must have the same types in all splits.",
)


class HuggingFace(Format, ABC):
    """What both have in common."""

    images = ("INCLUDED", "NONE", "LINKS")
    options = frozenset({"has_splits"})
    has_splits = True
    says: ClassVar[frozenset[str]] = frozenset(WHO_AND_WHEN)

    def part_of(self, image: AnnotatedImage) -> str:
        return NAMES[image.split] if self.facts.is_split and image.split else UNSPLIT

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(NAMES[split] for split in self.facts.splits) or (UNSPLIT,)

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        match annotation.shape:
            case Polyline():
                return POLYLINES
            case Point():
                return POINTS
            case Circle():
                return CIRCLES_AS_BOXES
        return None

    def usage_said(self, image: AnnotatedImage) -> str | None:
        return image.usage  # a column, where nothing is split

    def static_files(self) -> Sequence[File]:
        return (File("README.md", self._card().encode()),)

    @abstractmethod
    def pattern(self, part: str) -> str:
        """The files of a part."""

    def _card(self) -> str:
        lines = ["---", "configs:", "- config_name: default", "  data_files:"]
        for part in self.parts:
            lines += [f"  - split: {part}", f'    path: "{self.pattern(part)}"']
        title = self.facts.name if self.facts.version is None else f"{self.facts.name} {self.facts.version}"
        return "\n".join([*lines, "---", "", f"# {title}", "", *filter(None, [self.facts.description]), ""])


class ImageFolderWithMetadata(HuggingFace):
    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.metadata = tuple(_Metadata(part, self) for part in self.parts)
        self.documents = self.metadata

    def pattern(self, part: str) -> str:
        return f"{part}/**"

    def image_path(self, image: AnnotatedImage) -> str:
        return f"{self.part_of(image)}/{image.file_path}"


class _Metadata(Document):
    """`datasets` takes the types of a part's columns from the values in its first 10 MiB, and refuses parts whose types
    differ. So the first line that has a value of a kind goes before those that have none; and one line, the first of
    all, waits until it is known what the part lacks and another has. `said`: the kinds that the part has."""

    def __init__(self, part: str, format_: ImageFolderWithMetadata) -> None:
        super().__init__(f"{part}/metadata.jsonl")
        self.part, self.format = part, format_
        self.said: Set[str] = frozenset()
        self.waiting: tuple[AnnotatedImage, dict[str, Any]] | None = None

    def head(self) -> Sequence[bytes]:
        return b"", b"", b""

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        if self.format.part_of(image) != self.part:
            return b"", b"", b""
        link = {} if image.url is None else {"url": image.url}
        line = {"file_name": image.file_path} | row(image, self.format.facts, self.format.says) | link
        said = _said(line)
        is_first = not said <= self.said
        self.said |= said
        if self.waiting is None or ("shape" in said and "shape" not in _said(self.waiting[1])):
            before, self.waiting = self.waiting, (image, line)
            if before is None:
                return b"", b"", b""
            is_first, line = True, before[1]
        return (b"", _line(line), b"") if is_first else (b"", b"", _line(line))

    def tail(self) -> Sequence[bytes]:
        if self.waiting is None:
            return b"", b"", b""
        image, line = self.waiting
        missing = frozenset[str]().union(*(each.said for each in self.format.metadata)) - self.said
        known = {name: [""] for name in WHO_AND_WHEN}
        if "label" in missing:
            line |= {"label": "", "labels": [""]} | known
        if "shape" in missing:
            line["objects"] = {"bbox": [[0.0] * 4], "categories": [""], "segmentation": [[]]} | known
        self.format.losses.add(NAMELESS, image, len(missing & {"label", "shape"}))
        if "outline" in missing:
            line["objects"]["segmentation"][0] = around(line["objects"]["bbox"][0])
        return _line(line), b"", b""


def _said(line: Mapping[str, Any]) -> Set[str]:
    """The kinds of values that a line has. Without one in any line its column has no type."""
    objects = line.get("objects", {"bbox": (), "segmentation": ()})
    kinds = {"label": line["labels"], "usage": line.get("usage"), "shape": objects["bbox"]}
    return {kind for kind, value in kinds.items() if value} | ({"outline"} if any(objects["segmentation"]) else set())


def _line(said: Mapping[str, Any]) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def row(image: AnnotatedImage, facts: DatasetFacts, says: Set[str]) -> dict[str, Any]:
    """The columns other than the image. Each row has the same, as `datasets` expects."""
    upright = image.upright
    whole = {each.label: each for each in reversed(upright.confirmed) if each.shape is None}
    labels = [*reversed(whole)]
    found: dict[str, Any] = {"width": upright.raster.width, "height": upright.raster.height}
    found |= {"label": labels[0] if labels else None, "labels": labels}
    found |= _known([whole[label] for label in labels], says)
    if not facts.is_split:
        found["usage"] = image.usage
    if facts.type == "IMAGE_CLASSIFICATION":
        return found
    drawn = [each for each in upright.confirmed if isinstance(each.shape, BoundingBox | Polygon | Circle)]
    outlines = [list(map(float, coordinates(each.shape))) if isinstance(each.shape, Polygon) else [] for each in drawn]
    boxes = [list(map(float, corner_and_size(each.shape))) for each in drawn if each.shape is not None]
    objects = {"bbox": boxes, "categories": [each.label for each in drawn], "segmentation": outlines}
    return found | {"objects": objects | _known(drawn, says)}


def _known(annotations: Sequence[ParsedAnnotation], says: Set[str]) -> dict[str, Any]:
    """A list for each fact. A text is never null, but may be empty."""
    known = [who_and_when(each) for each in annotations]
    found: dict[str, Any] = {name: [each.get(name, "") for each in known] for name in WHO_AND_WHEN if name in says}
    return found | ({"confidence": [each.confidence for each in annotations]} if "confidence" in says else {})
