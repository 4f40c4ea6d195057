"""COCO: `annotations/instances_<split>.json` for `images/<split>/`, `labels_<split>.json` for image labels.

Where the dataset is not split, the one part is called `default`, as Datumaro and CVAT call it. Pixels are those of the
upright image, as OpenCV, Detectron2 and browsers read it. Category ids count from 1, in the order of the labels.
An image's `state` tells the unlabelled ones from those on which nothing was found. What is known of an annotation is in
`score`, `attributes`, `labeled_by` and `labeled_at`, which other readers pass over.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from db.errors import Invalid
from db.formats import shapes
from db.formats.annotations import FACTS, ParsedAnnotation
from db.formats.datasets import masks
from db.formats.datasets.format import (
    CIRCLES_AS_BOXES,
    POINTS,
    POLYLINES,
    WHOLE_IMAGE,
    Document,
    Format,
    Loss,
)
from db.formats.datasets.outlines import coordinates, corner_and_size, short
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, who_and_when
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Shape

UNSPLIT: Final = "default"
MASKS: Final = Loss(
    "MASKS",
    f"Shapes around no pixel's centre, or of more than {masks.MAX_RUNS:,} runs, have no mask: polygons are written as "
    "they are, circles as the boxes around them.",
)


class Coco(Format):
    options = frozenset({"has_splits", "segmentation"})
    is_single_files = True
    has_splits = True
    says = frozenset(FACTS)

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.kind = "labels" if facts.type == "IMAGE_CLASSIFICATION" else "instances"
        self.has_masks = facts.options.segmentation == "RLE"
        parts = facts.splits or (UNSPLIT,)
        self.documents = tuple(_Part(f"annotations/{self.kind}_{part}.json", part, self) for part in parts)

    @classmethod
    def check(cls, facts: DatasetFacts) -> None:
        if facts.options.segmentation is not None and facts.type == "IMAGE_CLASSIFICATION":
            raise Invalid("Image classification has no shapes for `segmentation`.", path="options.segmentation")

    def part_of(self, image: AnnotatedImage) -> str:
        return (image.split if self.facts.is_split else None) or UNSPLIT

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        match annotation.shape:
            case Circle() if not self.has_masks:
                return CIRCLES_AS_BOXES
            case Polyline():
                return POLYLINES
            case Point():
                return POINTS
            case None if self.kind == "instances":
                return WHOLE_IMAGE
        return None

    def image_path(self, image: AnnotatedImage) -> str:
        return f"images/{self.part_of(image)}/{image.file_path}"


class _Part(Document):
    """Two sections: the images, and their annotations, with the categories behind them."""

    def __init__(self, path: str, part: str, format_: Coco) -> None:
        super().__init__(path)
        self.part, self.format, self.ids = part, format_, 0
        self.has_images = False

    def head(self) -> Sequence[bytes]:
        facts = self.format.facts
        info = {"description": facts.description or facts.name, "version": facts.version or ""}
        return b'{"info":%b,"licenses":[],"images":[' % orjson.dumps(info), b'\n],"annotations":['

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        if self.format.part_of(image) != self.part:
            return b"", b""
        upright = image.upright
        comma, self.has_images = b"," if self.has_images else b"", True
        annotations = bytearray()
        for each in upright.confirmed:
            entry = self._annotation(upright, each)
            if entry is not None:
                annotations += (b",\n" if self.ids > 1 else b"\n") + orjson.dumps(entry)
        return comma + b"\n" + orjson.dumps(self._image(image, *upright.raster.size)), bytes(annotations)

    def tail(self) -> Sequence[bytes]:
        categories = [
            {"id": label.number + 1, "name": label.name, "supercategory": ""} for label in self.format.facts.labels
        ]
        return b"", b'\n],"categories":%b}\n' % orjson.dumps(categories)

    def _image(self, image: AnnotatedImage, width: int, height: int) -> dict[str, Any]:
        link = {} if image.url is None else {"coco_url": image.url}
        name = {"id": image.number, "file_name": image.file_path, "width": width, "height": height}
        return name | link | {"state": image.state}

    def _annotation(self, image: AnnotatedImage, annotation: ParsedAnnotation) -> dict[str, Any] | None:
        category = self.format.facts.label_numbers[annotation.label] + 1
        entry: dict[str, Any] = {"image_id": image.number, "category_id": category}
        if self.format.kind == "instances":
            if not isinstance(annotation.shape, BoundingBox | Polygon | Circle):
                return None
            entry |= self._region(image, annotation.shape)
        if annotation.confidence is not None:
            entry["score"] = annotation.confidence
        if attributes := annotation.attributes.to_json():
            entry["attributes"] = attributes
        entry |= who_and_when(annotation)
        self.ids += 1
        return {"id": self.ids} | entry

    def _region(self, image: AnnotatedImage, shape: Shape) -> dict[str, Any]:
        left, top, right, bottom = shapes.extent(shape)
        mask = None
        if self.format.has_masks and isinstance(shape, Polygon | Circle):
            mask = masks.mask(shape, *image.raster.size)
            self.format.losses.add(MASKS, image, mask is None)
        segmentation: Any = [list(coordinates(shape))] if isinstance(shape, Polygon) else []
        area = short(shapes.area(shape) if segmentation else (right - left) * (bottom - top))
        if mask is not None:
            segmentation, area = mask
        return {"bbox": corner_and_size(shape), "area": area, "segmentation": segmentation, "iscrowd": 0}
