"""ModelArts manifest: a line for each image, which stays where it is; shapes are in VOC files that the lines point to.

The same lines as a published version's manifest; the locations of its label files are relative to it (`./`).
"""

from collections.abc import Sequence, Set
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from db.formats import shapes
from db.formats.annotations import ATTRIBUTES, FACTS, Author, ParsedAnnotation
from db.formats.datasets.format import Document, File, Format
from db.formats.datasets.records import AnnotatedImage, DatasetFacts
from db.formats.manifests import Style

FOLDER: Final = "annotation/"
NOBODY: Final = Author("unknown")
NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of records that do not come from a dataset


class ModelArtsManifest(Format):
    images = ("NONE",)
    says_suggestions = True
    says_hard = True
    says = frozenset(FACTS)

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.style = Style(facts.type, facts.name, facts.input_path, f"./{FOLDER}")
        self.documents = (_Lines(f"{facts.name}.manifest", self.style),)

    def said_of(self, annotation: ParsedAnnotation) -> Set[str]:
        return self.says if annotation.shape is not None else self.says - {*ATTRIBUTES}

    def files(self, image: AnnotatedImage) -> Sequence[File]:
        if self.facts.type == "IMAGE_CLASSIFICATION":
            return ()
        return [File(f"{FOLDER}{name}", data) for name, data in self.style.label_files(row(image))]


class _Lines(Document):
    def __init__(self, path: str, style: Style) -> None:
        super().__init__(path)
        self.style = style

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        return (self.style.line(row(image)),)


def row(image: AnnotatedImage) -> dict[str, Any]:
    """The image as the writer of manifests takes it. Annotations are numbered in their image."""
    annotations = []
    for number, each in enumerate(image.annotations, 1):
        author, attributes = each.author or NOBODY, each.attributes.to_json()
        annotations.append(
            {
                "id": f"{image.id}-{number}",
                "name": each.label,
                "color": each.color,
                "shortcut": each.shortcut,
                "labeled_by": author.by,
                "labeled_at": author.at or NO_TIME,
                "confirmed": author.confirmed,
                "confidence": each.confidence,
                "shape": None if each.shape is None else orjson.dumps(shapes.to_json(each.shape)).decode(),
                "attributes": None if attributes is None else orjson.dumps(attributes).decode(),
            }
        )
    width, height = image.raster.size
    named = {"id": image.id, "path": image.path, "usage": image.usage, "hard": image.is_hard}
    return named | {"width": width, "height": height, "annotations": annotations}
