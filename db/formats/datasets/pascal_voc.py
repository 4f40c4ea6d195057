"""PASCAL VOC: `Annotations/<name>.xml` for `JPEGImages/<name>`, and lists of the images in `ImageSets/Main`.

As in the sidecars of datasets, numbers are pixels of the image as it is stored. A polygon, a line or a circle has the
box around it as `bndbox`, and itself behind that.
"""

import re
from collections.abc import Sequence
from typing import Final

from db.formats.annotations import ATTRIBUTES, ParsedAnnotation
from db.formats.datasets.format import POINTS, WHOLE_IMAGE, Document, File, Format, Loss
from db.formats.datasets.records import AnnotatedImage, DatasetFacts
from db.formats.paths import stem
from db.formats.shapes import Point
from db.formats.sidecars import voc

UNSPLIT: Final = "default"
NOT_LISTED: Final = re.compile("[:#\n\r]|^background$")  # labels that the list of labels cannot have


class PascalVoc(Format):
    types = frozenset({"OBJECT_DETECTION", "IMAGE_SEGMENTATION"})
    images = ("INCLUDED", "NONE")
    options = frozenset({"has_splits"})
    has_splits = True
    says = frozenset({*ATTRIBUTES, "confidence"})

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.documents = tuple(_List(part, facts) for part in facts.splits or (UNSPLIT,))

    def shape_loss(self, annotation: ParsedAnnotation) -> Loss | None:
        match annotation.shape:
            case None:
                return WHOLE_IMAGE
            case Point():
                return POINTS
        return None

    def is_hard_said(self, image: AnnotatedImage) -> bool:
        return any(each.attributes.difficult for each in image.confirmed)  # so readers take it

    def image_path(self, image: AnnotatedImage) -> str:
        return f"JPEGImages/{image.file_name}"

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        data = voc.write(
            [each for each in image.confirmed if not isinstance(each.shape, Point)],
            folder="JPEGImages",
            file_name=image.file_name,
            size=image.raster.size,
            segmented=self.facts.type == "IMAGE_SEGMENTATION",
            hulls=True,
        )
        return (File(f"Annotations/{stem(image.file_name)}.xml", data),)

    def static_files(self) -> Sequence[File]:
        """The labels, for readers that expect those of the challenge otherwise."""
        names = [label.name for label in self.facts.labels if not NOT_LISTED.search(label.name)]
        lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", *(f"{name}:::" for name in names), ""]
        return (File("labelmap.txt", "\n".join(lines).encode()),)


class _List(Document):
    """The names of a part's images, without suffixes."""

    def __init__(self, part: str, facts: DatasetFacts) -> None:
        super().__init__(f"ImageSets/Main/{part}.txt")
        self.part = part if facts.is_split else None

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        is_in = self.part is None or image.split == self.part
        return (f"{stem(image.file_name)}\n".encode() if is_in else b"",)
