"""CSV: a line for each annotation, and one for an image without any. In UTF-8, with commas and CR LF, as RFC 4180.

Spreadsheets execute a text that begins like a formula. Such a cell gets an apostrophe in front, as does one that begins
with an apostrophe; numbers and names such as `-1` and `-cat`, which do nothing, stay exactly as they are.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

import orjson

from db.formats import shapes
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.format import Document, Format, Loss, Losses
from db.formats.datasets.records import AnnotatedImage, DatasetFacts, is_confirmed
from db.formats.names import HAN
from db.formats.shapes import BoundingBox
from db.formats.timestamps import format_timestamp

COLUMNS: Final = (
    *("path", "label", "shape", "x_min", "y_min", "x_max", "y_max", "geometry"),
    *("confidence", "confirmed", "labeled_by", "labeled_at"),
    *("state", "usage", "is_hard", "width", "height", "orientation", "size", "format", "file", "url"),
)
FORMULA: Final = re.compile("['=+\\-@\t\r\n]")
HARMLESS: Final = re.compile(f"[+-]?[0-9]+(\\.[0-9]+)?|-[0-9A-Za-z_\\-{HAN}]*")
ESCAPED: Final = Loss("ESCAPED", "Cells that begin like a formula have an apostrophe in front.")


class LabelsCsv(Format):
    """`path,label` first: what most scripts want."""

    is_single_files = True
    says_suggestions = True
    says_hard = True
    says = frozenset({"confidence", "labeled_by", "labeled_at"})

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__(facts)
        self.documents = (_Lines(f"{facts.name}.csv", self),)


class _Lines(Document):
    def __init__(self, path: str, format_: LabelsCsv) -> None:
        super().__init__(path)
        self.format = format_

    def head(self) -> Sequence[bytes]:
        return (line(COLUMNS),)

    def add(self, image: AnnotatedImage) -> Sequence[bytes]:
        mode, losses = self.format.facts.images, self.format.losses
        of_image = (
            *(image.state, image.usage, image.is_hard, *image.raster.size, image.raster.orientation),
            *(image.size, image.format),
            *(self.format.image_path(image) if mode == "INCLUDED" else None, image.url),
        )
        annotations: Sequence[ParsedAnnotation | None] = image.annotations or (None,)
        return (b"".join(self._line(image, each, of_image, losses) for each in annotations),)

    def _line(
        self, image: AnnotatedImage, annotation: ParsedAnnotation | None, of_image: Sequence[object], losses: Losses
    ) -> bytes:
        cells = (image.path, *(_cells(annotation) if annotation else ("",) * 11), *of_image)
        written = [cell(each) for each in cells]
        losses.add(ESCAPED, image, sum(is_escaped(each) for each in cells))
        return line(written)


def _cells(annotation: ParsedAnnotation) -> Sequence[object]:
    shape, author = annotation.shape, annotation.author
    box = (None,) * 4 if shape is None else shapes.extent(shape)
    return (
        annotation.label,
        None if shape is None else type(shape).__name__,
        *box,
        None if shape is None or isinstance(shape, BoundingBox) else orjson.dumps(shapes.to_json(shape)).decode(),
        annotation.confidence,
        is_confirmed(annotation),
        author and author.by,
        author and author.at and format_timestamp(author.at),
    )


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15g}"
        case str() if is_escaped(value):
            return f"'{value}"
    return str(value)


def is_escaped(value: object) -> bool:
    return isinstance(value, str) and FORMULA.match(value) is not None and not HARMLESS.fullmatch(value)


def line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
