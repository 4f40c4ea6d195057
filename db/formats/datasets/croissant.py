"""Croissant 1.0: `croissant.json`, which describes for machines what is in the export: our CSV, and the images next
to it. So what reads CSV reads all of it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from db.formats.datasets.format import Document, File
from db.formats.datasets.labels_csv import COLUMNS, LabelsCsv
from db.formats.datasets.records import AnnotatedImage, DatasetFacts

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"
TERMS: Final = (
    *("citeAs", "column", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes"),
    *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
    *("replace", "separator", "source", "subField", "transform"),
)
CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS},
}
FORMATS: Final = ("jpeg", "png", "bmp", "webp", "tiff", "gif", "avif")  # that images may have
NUMBERS: Final = {
    **dict.fromkeys(("width", "height", "orientation", "size"), "sc:Integer"),
    **dict.fromkeys(("x_min", "y_min", "x_max", "y_max", "confidence"), "sc:Float"),
    "is_hard": "sc:Boolean",
}
DESCRIPTIONS: Final = {
    "path": "The path of the image.",
    "label": "A label of the image. An image has a record for each of its labels, and one if it has none.",
    "shape": "What the label is on: BoundingBox, Polygon, Polyline, Circle or Point; empty for the whole image.",
    "x_min": "Of the box around the shape, in pixels of the image as it is stored, from its top left corner.",
    "geometry": "The shape as JSON, if it is no box.",
    "confirmed": "Whether a person confirmed the label; false for a suggestion.",
    "usage": "TRAIN, EVAL, TEST or INFERENCE.",
}


class Croissant(LabelsCsv):
    is_single_files = False

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        [lines] = self.documents
        self.lines = _Hashed(lines)
        self.documents = (self.lines,)

    def final_files(self) -> Sequence[File]:
        return (File("croissant.json", orjson.dumps(self._description(), option=orjson.OPT_INDENT_2)),)

    def _description(self) -> dict[str, Any]:
        facts, table = self.facts, self.lines.path
        files: list[dict[str, Any]] = [
            {
                "@type": "cr:FileObject",
                "@id": table,
                "name": table,
                "contentUrl": table,
                "encodingFormat": "text/csv",
                "sha256": self.lines.hash.hexdigest(),
            }
        ]
        sets = [_record_set("annotations", [_column(name, table) for name in COLUMNS])]
        if facts.images == "INCLUDED":
            image_set = {"@type": "cr:FileSet", "@id": "image-files", "name": "image-files", "includes": "images/**"}
            files.append(image_set | {"encodingFormat": [f"image/{each}" for each in FORMATS]})
            sets.append(
                _record_set(
                    "images",
                    [
                        _field("images/file", "sc:Text", {"fileSet": "image-files", "fileProperty": "fullpath"}),
                        _field("images/image", "sc:ImageObject", {"fileSet": "image-files", "fileProperty": "content"}),
                    ],
                )
            )
        return {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": CONFORMS_TO,
            "name": facts.name,
            "description": facts.description or f"Images of {facts.name} and their labels.",
            **({} if facts.version is None else {"version": facts.version}),
            "distribution": files,
            "recordSet": sets,
        }


class _Hashed(Document):
    """A document of one section, whose hash is known at its end."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.path)
        self.document = document
        self.hash = sha256()

    def head(self) -> Sequence[bytes]:
        return self._hashed(self.document.head())

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        return self._hashed(self.document.add(image))

    def tail(self) -> Sequence[bytes]:
        return self._hashed(self.document.tail())

    def _hashed(self, sections: Sequence[bytes]) -> Sequence[bytes]:
        self.hash.update(sections[0])
        return sections


def _record_set(name: str, fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _column(name: str, table: str) -> dict[str, Any]:
    kind = NUMBERS.get(name, "sc:Text")
    return _field(f"annotations/{name}", kind, {"fileObject": table, "column": name}, DESCRIPTIONS.get(name))


def _field(id_: str, kind: str, source: Mapping[str, str], description: str | None = None) -> dict[str, Any]:
    (file, where), (extract, what) = source.items()
    said = {} if description is None else {"description": description}
    origin = {file: {"@id": where}, "extract": {extract: what}}
    return {"@type": "cr:Field", "@id": id_, "name": id_} | said | {"dataType": kind, "source": origin}
