"""YOLO, as Ultralytics' YOLOv5 to v8 and later read it: `images/<split>/`, `labels/<split>/`, and `data.yaml`.

    DETECT           class x y width height         the box's centre and size
    SEGMENT          class x y x y x y …            a polygon
    ORIENTED_BOXES   class x y x y x y x y          four corners
    CLASSIFY         <split>/<label>/               folders, as ImageFolder

Numbers are fractions of the width and height of the upright image. Classes count from 0, in the order of the labels.
An image with an empty label file is one on which nothing is. So images that nobody has labelled are left out, and so
are those of whose labels none can be expressed.

Readers require a part for training and one for validation: where the dataset has no such split, `data.yaml` names
another part in its place. Where it has none at all, everything is in `train`, and a comment, or of CLASSIFY the file
`UNSPLIT.md`, tells our own reader that this says nothing of the usage.
"""

from collections.abc import Iterator, Sequence
from math import cos, pi, sin
from typing import ClassVar, Final

import orjson

from db.errors import Invalid
from db.formats import shapes
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.format import (
    BOXES_AS_POLYGONS,
    CIRCLES_AS_BOXES,
    CIRCLES_AS_POLYGONS,
    POINTS,
    POLYGONS_AS_BOXES,
    POLYLINES,
    TYPE_NOUNS,
    UNLABELED,
    WHOLE_IMAGE,
    File,
    Format,
    Loss,
)
from db.formats.datasets.image_folder import ImageFolder
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, YoloTask
from db.formats.paths import stem
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position

TASKS: Final[dict[str, tuple[YoloTask, ...]]] = {  # by the type of the dataset, first the default
    "IMAGE_CLASSIFICATION": ("CLASSIFY",),
    "OBJECT_DETECTION": ("DETECT", "SEGMENT", "ORIENTED_BOXES"),
    "IMAGE_SEGMENTATION": ("SEGMENT", "DETECT", "ORIENTED_BOXES"),
}
NOT_EXPRESSED: Final = Loss("NOT_EXPRESSED", "Images none of whose labels can be expressed are left out.")
CIRCLE_POINTS: Final = 32
UNSPLIT: Final = "train"
NOT_SPLIT: Final = "# Nothing is split: all images are in `train`, whatever their usage."


class Yolo(Format):
    images = ("INCLUDED", "NONE")
    options: ClassVar[frozenset[str]] = frozenset({"has_splits", "yolo_task", "several_labels"})
    has_splits = True

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.task = task_of(facts)
        self.folders = _Folders(facts) if self.task == "CLASSIFY" else None
        self.losses = self.folders.losses if self.folders else self.losses

    @classmethod
    def check(cls, facts: DatasetFacts) -> None:
        task = task_of(facts)
        if task not in TASKS[facts.type]:
            allowed = " or ".join(TASKS[facts.type])
            message = f"For {TYPE_NOUNS[facts.type]} datasets, `yoloTask` must be {allowed}, and is {task}."
            raise Invalid(message, path="options.yoloTask")
        if facts.options.several_labels is not None and task != "CLASSIFY":
            message = f"`severalLabels` is an option of `yoloTask` CLASSIFY, and `yoloTask` is {task}."
            raise Invalid(message, path="options.severalLabels")
        if task == "CLASSIFY" and facts.images != "INCLUDED":
            message = f"For `yoloTask` CLASSIFY, `images` must be INCLUDED, and is {facts.images}."
            raise Invalid(message, path="images")

    def includes(self, image: AnnotatedImage) -> bool:
        if self.folders:
            return self.folders.includes(image)
        if image.state != "LABELED":
            self.losses.add(UNLABELED, image)
            return False
        if not any(outline(annotation, self.task) for annotation in image.confirmed):
            self.losses.add(NOT_EXPRESSED, image)
            return False
        return True

    def image_path(self, image: AnnotatedImage) -> str:
        """Without the image's own directories: readers replace the last `images` in a path to find its label file."""
        if self.folders:
            return self.folders.image_path(image)
        return f"images/{part_of(image, self.facts)}/{image.file_name}"

    def copies(self, image: AnnotatedImage) -> Sequence[str]:
        return self.folders.copies(image) if self.folders else ()

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        if self.folders:
            return ()
        upright = image.upright
        lines = [self._line(each, *upright.raster.size) for each in upright.confirmed]
        path = f"labels/{part_of(image, self.facts)}/{stem(image.file_name)}.txt"
        return [File(path, "".join(lines).encode())]

    def static_files(self) -> Sequence[File]:
        """Without `path`, which readers take for a folder of their own: the parts lie next to this file."""
        if self.folders:
            return self.folders.static_files()
        parts = self.facts.splits or (UNSPLIT,)
        train = "train" if "train" in parts else parts[0]
        val = "val" if "val" in parts else "test" if "test" in parts else train
        lines = [] if self.facts.is_split else [NOT_SPLIT]
        lines += [f"train: images/{train}", f"val: images/{val}"]
        lines += ["test: images/test"] if "test" in parts else []
        names = [f"  {label.number}: {orjson.dumps(label.name).decode()}" for label in self.facts.labels]
        lines += [f"nc: {len(names)}", "names:" if names else "names: {}", *names, ""]
        return [File("data.yaml", "\n".join(lines).encode())]

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        if self.folders:
            return None
        match annotation.shape:
            case None:
                return WHOLE_IMAGE
            case Polyline():
                return POLYLINES
            case Point():
                return POINTS
            case Circle():
                return CIRCLES_AS_POLYGONS if self.task == "SEGMENT" else CIRCLES_AS_BOXES
            case BoundingBox():
                return BOXES_AS_POLYGONS if self.task == "SEGMENT" else None
            case Polygon(points):
                is_kept = self.task == "SEGMENT" or (self.task == "ORIENTED_BOXES" and len(points) == 4)
                return None if is_kept else POLYGONS_AS_BOXES

    def _line(self, annotation: ParsedAnnotation, width: int, height: int) -> str:
        points = outline(annotation, self.task)
        if not points:
            return ""
        number = self.facts.label_numbers[annotation.label]
        if self.task == "DETECT":
            (left, top), _, (right, bottom), _ = ((point.x, point.y) for point in points)
            numbers = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            numbers += [(right - left) / width, (bottom - top) / height]
        else:
            numbers = [each for point in points for each in (point.x / width, point.y / height)]
        return f"{' '.join([str(number), *map(_decimal, numbers)])}\n"


class _Folders(ImageFolder):
    """Every image is in a split."""

    def is_like_split(self) -> bool:
        return not self.facts.is_split

    def split_of(self, image: AnnotatedImage) -> str:
        return part_of(image, self.facts)


def part_of(image: AnnotatedImage, facts: DatasetFacts) -> str:
    return (image.split if facts.is_split else None) or UNSPLIT


def task_of(facts: DatasetFacts) -> YoloTask:
    return facts.options.yolo_task or TASKS[facts.type][0]


def outline(annotation: ParsedAnnotation, task: YoloTask) -> tuple[Position, ...]:
    """The points of the shape that is written: a polygon, or the corners of a box. None: nothing is."""
    shape = annotation.shape
    match shape:
        case None | Polyline() | Point():
            return ()
        case Polygon(points) if task == "SEGMENT" or (task == "ORIENTED_BOXES" and len(points) == 4):
            return points
        case Circle(center, radius) if task == "SEGMENT":
            return tuple(_around(center, radius))
    left, top, right, bottom = shapes.extent(shape)
    return Position(left, top), Position(right, top), Position(right, bottom), Position(left, bottom)


def _around(center: Position, radius: float) -> Iterator[Position]:
    for step in range(CIRCLE_POINTS):
        angle = 2 * pi * step / CIRCLE_POINTS
        yield Position(center.x + radius * cos(angle), center.y + radius * sin(angle))


def _decimal(number: float) -> str:
    """So many digits that a millionth of a pixel is one of them."""
    return f"{number:.10f}".rstrip("0").rstrip(".")
