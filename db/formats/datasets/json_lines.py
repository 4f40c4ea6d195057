"""JSON Lines: an object for each image, with everything that is known of it, under the names of the GraphQL API."""

from collections.abc import Sequence
from typing import Any

import orjson

from db.formats import shapes
from db.formats.annotations import FACTS, ParsedAnnotation
from db.formats.datasets.format import Document, Format
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, is_confirmed
from db.formats.timestamps import format_timestamp


class JsonLines(Format):
    is_single_files = True
    says_suggestions = True
    says_hard = True
    says = frozenset(FACTS)

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.documents = (_Lines(f"{facts.name}.jsonl", self),)


class _Lines(Document):
    def __init__(self, path: str, format_: JsonLines) -> None:
        super().__init__(path)
        self.format = format_

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        is_included = self.format.facts.images == "INCLUDED"
        line = {
            "path": image.path,
            **({"file": self.format.image_path(image)} if is_included else {}),
            **({"imageUrl": image.url} if image.url is not None else {}),
            "width": image.raster.width,
            "height": image.raster.height,
            "orientation": image.raster.orientation,
            "size": image.size,
            "format": image.format,
            "state": image.state,
            "usage": image.usage,
            "isHard": image.is_hard,
            "annotations": [annotation_json(each) for each in image.annotations],
        }
        return (orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE),)


def annotation_json(annotation: ParsedAnnotation) -> dict[str, Any]:
    """What differs from the default of nothing."""
    shape, author, attributes = annotation.shape, annotation.author, annotation.attributes
    said = {
        "color": annotation.color,
        "shape": None if shape is None else shapes.to_json(shape),
        "confidence": annotation.confidence,
        "model": annotation.model and dict(zip(("name", "version"), annotation.model, strict=True)),
        "labeledBy": author and author.by,
        "labeledAt": author and author.at and format_timestamp(author.at),
        "isDifficult": attributes.difficult or None,
        "isTruncated": attributes.truncated or None,
        "isOccluded": attributes.occluded or None,
        "pose": attributes.pose,
    }
    known = {name: value for name, value in said.items() if value is not None}
    return {"label": annotation.label, "isConfirmed": is_confirmed(annotation), **known}
