"""COCO: a JSON file with `images`, `annotations` and `categories`, in any order, of any length.

An annotation with `segmentation` becomes polygons, one for each part; else its `bbox` a box; else it is a label of the
whole image. Masks become polygons along the edges of their pixels. `score`, `attributes`, `labeled_by` and `labeled_at`
are read as we write them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import masks, values
from db.formats.datasets.readers.grouping import Grouped, Grouping, Key, grouping
from db.formats.datasets.readers.json_parts import Part, parts
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Place, Problem, ReadOptions, opened
from db.formats.names import quoted
from db.formats.shapes import BoundingBox, Polygon, Position, Shape

MAX_CATEGORIES: Final = 100_000
ARRAYS: Final = ("images", "annotations", "categories")
NAMED: Final = re.compile(r"(?:instances|labels)_(.+)\.json")
OBJECTS: Final = "instances_"  # of the files of one data set, that with the objects
Categories = dict[Key, str]


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    """Every file of JSON; where some are `instances_….json`, these alone."""
    names = [name for name in files.names() if name.lower().endswith(".json")]
    matching = [name for name in names if name.rpartition("/")[2].startswith(OBJECTS)] or names
    if not matching:
        raise Invalid("There is no file of JSON.")
    for name in matching:
        with opened(files, name) as file:
            yield from _File(name, options).read(file)


class _File:
    def __init__(self, name: str, options: ReadOptions) -> None:
        self.name = name
        self.folder = name.rpartition("/")[0]
        self.usage = usages.in_path(name)
        self.options = options
        self.categories: Categories = {}

    def read(self, file: BinaryIO) -> Iterator[ImageRecord | Problem]:
        with grouping() as groups:
            found = set[str]()
            for part in parts(file, ARRAYS, found):
                try:
                    self._add(part, groups)
                except Invalid as refused:
                    yield Problem(f"{self.name}#{part.pointer}", refused.message)
            if "images" not in found:
                raise Invalid(f"{self.name} is no COCO file: it has no `images`.")
            for group in groups.images(most=MAX_ANNOTATIONS):
                try:
                    yield self._record(group)
                except Invalid as refused:
                    yield Problem(f"{self.name}#/images/{group.position}", refused.message)
            for position in groups.orphans():
                yield Problem(f"{self.name}#/annotations/{position}", "There is no image with its `image_id`.")

    def _add(self, part: Part, groups: Grouping) -> None:
        item = part.object()
        match part.key:
            case "images":
                if not groups.add_image(part.index, _key(item.get("id"), "id"), part.data):
                    raise Invalid("There is an image with this `id` before.")
            case "annotations":
                groups.add(part.index, _key(item.get("image_id"), "image_id"), part.data)
            case _:
                if len(self.categories) >= MAX_CATEGORIES:
                    raise Invalid(f"A file has at most {MAX_CATEGORIES:,} categories.")
                self.categories.setdefault(_key(item.get("id"), "id"), values.text(item.get("name"), "name"))

    def _record(self, group: Grouped) -> ImageRecord:
        location = f"{self.name}#/images/{group.position}"
        annotations, problems, notes = list[ParsedAnnotation](), list[Problem](), list[str]()
        image = Part("images", group.position, group.data).object(notes.append)
        problems += [Problem(location, note) for note in notes]
        path = values.path(image.get("file_name") or image.get("coco_url"), "file_name")
        for position, data in group.annotations:
            place = f"{self.name}#/annotations/{position}"
            try:
                notes = []
                item = Part("annotations", position, data).object(notes.append)
                annotations += self._annotations(item, position, notes)
            except Invalid as refused:
                notes.append(refused.message)
            problems += [Problem(place, note) for note in notes]
        if group.has_more:
            problems.append(Problem(location, f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
        return ImageRecord(
            path,
            location,
            tuple(annotations) if annotations or not group.annotations else None,
            values.size(image.get("width"), image.get("height")),
            self.usage,
            problems=tuple(problems),
            folder=self.folder,
            within=f"{self.name}#/annotations/",
            drawn="UPRIGHT",
            places=() if "://" in path else tuple(_places(self.name, path)),
        )

    def _annotations(self, item: dict[str, Any], position: int, notes: list[str]) -> list[ParsedAnnotation]:
        label = self.categories.get(_key(item.get("category_id"), "category_id"))
        if label is None:
            raise Invalid("There is no category with its `category_id`.")
        if item.get("keypoints"):
            notes.append("Keypoints are not read.")
        if item.get("iscrowd"):
            notes.append("It marks a crowd (`iscrowd`), and is read as one object.")
        confidence = values.known_confidence(item.get("score"), "score", notes.append)
        if self.options.kind == "IMAGE_CLASSIFICATION":
            shapes: Sequence[Shape | None] = (None,)
        else:
            shapes = self._shapes(item, notes)
        attributes = values.attributes(item.get("attributes"), notes.append)
        author = values.author(item.get("labeled_by"), item.get("labeled_at"), notes.append)
        return [ParsedAnnotation(label, each, confidence, attributes, position, author) for each in shapes]

    def _shapes(self, item: dict[str, Any], notes: list[str]) -> Sequence[Shape | None]:
        box, segmentation = item.get("bbox"), item.get("segmentation")
        if not segmentation or (self.options.boxes and box):
            return [_box(box)] if box else [None]
        if isinstance(segmentation, dict):
            polygons, holes = masks.outlines(segmentation)
            if holes:
                notes.append(f"Polygons have no holes: {holes:,} of the mask are filled.")
        elif isinstance(segmentation, list):
            polygons = [
                _polygon(part) for part in (segmentation if isinstance(segmentation[0], list) else [segmentation])
            ]
        else:
            raise Invalid("`segmentation` must be a list of polygons, or a run-length encoded mask.")
        if not polygons:
            raise Invalid("The mask covers nothing.")
        if len(polygons) > 1:
            notes.append(f"An object of {len(polygons):,} parts became an annotation for each.")
        return polygons


def _places(name: str, path: str) -> Iterator[Place]:
    """Of an image that `annotations/instances_val.json` says: in `images/val`, as we write it, in `val`, as COCO itself
    has it, or in `images`; of another file in `images` next to it. `images` is no part of an image's path."""
    folder, _, file = name.rpartition("/")
    up = "../" if folder.rpartition("/")[2] == "annotations" else ""
    part = NAMED.fullmatch(file)
    if part is not None and up:
        yield Place(f"../images/{part[1]}/{path}", f"../{path}")
        yield Place(f"../{part[1]}/{path}")
    yield Place(f"{up}images/{path}", f"{up}{path}", is_last=True)


def _key(value: Any, name: str) -> Key:
    """Of an image or a category; some tools write texts."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(values.exact(value, name))
    if isinstance(value, str):
        return values.text(value, name)
    raise Invalid(f"`{name}` is missing, or neither a number nor a text.")


def _box(box: Any) -> BoundingBox:
    if not isinstance(box, list) or len(box) != 4:
        raise Invalid(f"`bbox` must be [x, y, width, height], and is {quoted(box)}.")
    x, y, width, height = (values.number(each, "bbox") for each in box)
    return BoundingBox(x, y, x + width, y + height)


def _polygon(part: Any) -> Polygon:
    if not isinstance(part, list) or len(part) % 2 or len(part) < 6:
        raise Invalid("A part of `segmentation` must be [x1, y1, x2, y2, x3, y3, …].")
    numbers = [values.number(each, "segmentation") for each in part]
    return Polygon(tuple(map(Position, numbers[::2], numbers[1::2])))
