"""CSV: a line for each label of an image, or for each box; lines of one image may lie anywhere.

The first line names the columns, in any case of letters and with `_`, `-`, a space or nothing between words:

    path | image | file | file_name | image_path | …        the image; of `image_id` and `id` it may lack the suffix
    label | class | class_name | category | name            one label; `labels`, `tags`: several, with `|` or `;`
    xmin ymin xmax ymax | left top right bottom | x1 y1 x2 y2
    x y width height | x y w h | bbox_x bbox_y bbox_width bbox_height
    width height | image_width image_height                 of the image, where `width` is not of the box
    usage | split | set | subset    confidence | score      file     where the image is, in addition to `path`
    geometry, confirmed, labeled_by, labeled_at, is_hard, orientation     as our own exports have them

Without such a line it is `path,label`, `path,label,label,…`, `path,xmin,ymin,xmax,ymax,label` (keras-retinanet), or
`usage,path,label,x,y,,,x,y,,` in fractions of the image (Google AutoML). Delimiters: comma, semicolon, tab, bar.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO, Final

import orjson

from db.errors import Invalid
from db.formats import shapes
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import values
from db.formats.datasets.readers.grouping import Grouped, grouping
from db.formats.datasets.readers.lines import MAX_LINE, text_lines
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Problem, ReadOptions, Usage, opened
from db.formats.paths import suffix
from db.formats.shapes import BoundingBox, Shape

SUFFIXES: Final = (".csv", ".tsv", ".txt")
DELIMITERS: Final = ",;\t|"
MAX_COLUMNS: Final = 1_000
MAX_NAME: Final = 64  # characters of a column's name in messages
SYNONYMS: Final[Mapping[str, Sequence[str]]] = {
    "path": ("path", "image", "imagepath", "file", "filename", "filepath", "img", "imgpath", "imagename", "imagefile"),
    "file": ("file",),
    "id": ("imageid", "id", "imgid"),
    "label": ("label", "class", "classname", "category", "labelname", "name", "target", "species", "diagnosis", "tag"),
    "labels": ("labels", "tags", "classes", "categories"),
    "left": ("xmin", "left", "x1", "bboxxmin", "bboxx1", "x0"),
    "top": ("ymin", "top", "y1", "bboxymin", "bboxy1", "y0"),
    "right": ("xmax", "right", "x2", "bboxxmax", "bboxx2"),
    "bottom": ("ymax", "bottom", "y2", "bboxymax", "bboxy2"),
    "x": ("x", "bboxx", "boxx"),
    "y": ("y", "bboxy", "boxy"),
    "across": ("w", "bboxwidth", "bboxw", "boxwidth"),
    "down": ("h", "bboxheight", "bboxh", "boxheight"),
    "width": ("imagewidth", "imgwidth"),
    "height": ("imageheight", "imgheight"),
    "either width": ("width",),
    "either height": ("height",),
    "usage": ("usage", "split", "set", "subset", "partition", "dataset"),
    "confidence": ("confidence", "score", "probability"),
    "geometry": ("geometry",),
    "confirmed": ("confirmed",),
    "labeledby": ("labeledby", "annotator"),
    "labeledat": ("labeledat",),
    "hard": ("ishard", "hard"),
    "orientation": ("orientation",),
}
NOT_LETTERS: Final = re.compile(r"[^0-9a-z]")
AUTOML: Final = ("usage", "path", "label", "left", "top", "", "", "right", "bottom", "", "")
RETINANET: Final = ("path", "left", "top", "right", "bottom", "label")
UNESCAPED: Final = re.compile("'['=+\\-@\t\r\n]")  # what `'` is put before, for spreadsheets
EDGES: Final = ("left", "top", "right", "bottom")
SIDES: Final = ("x", "y", "across", "down")
LONE_CR: Final = "there is a carriage return in it, outside of quotation marks, and no line feed behind that"
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


csv.field_size_limit(MAX_LINE)  # of the process, and there is nobody else who reads CSV


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names = [name for name in files.names() if suffix(name) in SUFFIXES[:2]]
    names = names or [name for name in files.names() if suffix(name) in SUFFIXES]
    if not names:
        raise Invalid("There is no file of CSV.")
    for name in names:
        with opened(files, name) as file:
            yield from _File(name, options).read(file)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where what is: each meaning's column, and those of labels beyond the first."""

    of: Mapping[str, int]
    more_labels: Sequence[int] = ()
    has_header: bool = True
    is_relative: bool = False
    names: Sequence[str] = ()  # that the first line has

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[str]]) -> "Columns":
        """By the first rows of a file. Raises Invalid."""
        first = rows[0] if rows else ()
        found = meanings(first)
        if "path" in found or ("id" in found and len(found) > 1):
            keys = set(map(_plain, first))
            return cls(_boxed(found), is_relative={"labelname", "xmin"} <= keys, names=first)
        usage = usages.of_name(first[0]) if first else None
        if len(first) >= 3 and (usage is not None or first[0].strip().lower() == "unassigned"):
            return cls({name: n for n, name in enumerate(AUTOML) if name and n < len(first)}, (), False, True)
        if len(first) == len(RETINANET) and all(_is_number(cell) or not cell for cell in first[1:5]):
            return cls({name: n for n, name in enumerate(RETINANET)}, (), False)
        if len(first) >= 2 and suffix(first[0].strip()):
            return cls({"path": 0, "label": 1}, range(2, min(len(first), MAX_COLUMNS)), False)
        raise Invalid(
            "The first line names no column for the image (`path`, `image`, `file_name`, …), nor is it `path,label`."
        )


def meanings(names: Sequence[str]) -> dict[str, int]:
    """Of which name each meaning is: of several, the usual one."""
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        places.setdefault(_plain(name), index)
    found = {
        meaning: next(places[synonym] for synonym in synonyms if synonym in places)
        for meaning, synonyms in SYNONYMS.items()
        if any(synonym in places for synonym in synonyms)
    }
    if "path" not in found and found.get("label") != places.get("name", found.get("label")):
        found["path"] = places["name"]
    return found


def _plain(name: str) -> str:
    return NOT_LETTERS.sub("", name.lower())


def _boxed(found: dict[str, int]) -> dict[str, int]:
    """`width` is of the box where there is `x` and no other width, else of the image."""
    is_of_box = "x" in found and "left" not in found and "across" not in found
    for name, of_box in (("width", "across"), ("height", "down")):
        if f"either {name}" in found:
            found.setdefault(of_box if is_of_box else name, found[f"either {name}"])
    return found


def _is_number(cell: str) -> bool:
    return values.NUMBER.fullmatch(cell.strip()) is not None


class _File:
    def __init__(self, name: str, options: ReadOptions) -> None:
        self.name = name
        self.folder = name.rpartition("/")[0]
        self.usage = usages.in_path(name)
        self.options = options
        self.columns = Columns({})

    def read(self, file: BinaryIO) -> Iterator[ImageRecord | Problem]:
        rows = _rows(file)
        start = list(islice(rows, 1))
        self.columns = Columns.of_rows([row for _, row in start])
        with grouping() as groups:
            for line, row in chain([] if self.columns.has_header else start, rows):
                if not any(row):
                    continue
                try:
                    path = self._path(row)
                except Invalid as refused:
                    yield Problem(f"{self.name}:{line}", refused.message)
                    continue
                data = orjson.dumps([None if not values.is_text(cell) else cell for cell in row[:MAX_COLUMNS]])
                groups.add_image(line, path, data)
                groups.add(line, path, data)
            for group in groups.images(most=MAX_ANNOTATIONS):
                yield self._record(group)

    def _path(self, row: Sequence[str]) -> str:
        cell = self._cell(row, "path") or self._cell(row, "id")
        return values.text(cell, "path")

    def _name(self, meaning: str) -> str:
        """A column's name in the file; without a first line that names it, what it means."""
        index = self.columns.of.get(meaning, len(self.columns.names))
        return self.columns.names[index].strip()[:MAX_NAME] if index < len(self.columns.names) else meaning

    def _cell(self, row: Sequence[str | None], name: str) -> str:
        index = self.columns.of.get(name, -1)
        cell = (row[index] or "").strip() if 0 <= index < len(row) else ""
        return cell[1:] if UNESCAPED.match(cell) else cell

    def _record(self, group: Grouped) -> ImageRecord:
        first: list[str] = orjson.loads(group.data)
        annotations, problems = list[ParsedAnnotation](), list[Problem]()
        files = {self._cell(first, "file")}
        for line, data in group.annotations:
            row = orjson.loads(data)
            files.add(self._cell(row, "file"))
            try:
                annotations += islice(self._annotations(row, line, problems), MAX_ANNOTATIONS + 1)
            except Invalid as refused:
                problems.append(Problem(f"{self.name}:{line}", refused.message))
            if len(annotations) > MAX_ANNOTATIONS:
                break
        if group.has_more or len(annotations) > MAX_ANNOTATIONS:
            del annotations[MAX_ANNOTATIONS:]
            problems.append(Problem(self.name, f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
        whole = {each.label: each for each in reversed(annotations) if each.shape is None}
        annotations = [each for each in annotations if each.shape is not None or whole[each.label] is each]
        path = self._path(first)
        has_problem = bool(problems)
        usage = self._usage(first, group.position, problems)
        hard = self._cell(first, "hard").lower()
        return ImageRecord(
            path,
            f"{self.name}:{group.position}",
            tuple(annotations) if annotations or not has_problem else None,
            values.size(self._cell(first, "width"), self._cell(first, "height")),
            usage,
            True if hard in TRUE else False if hard in FALSE else None,
            tuple(problems),
            self.columns.is_relative,
            "path" in self.columns.of or bool(suffix(path)),
            self.folder,
            f"{self.name}:",
            "STORED" if "orientation" in self.columns.of else None,
            file=self._file(path, files),
        )

    def _file(self, path: str, said: set[str]) -> str | None:
        """Where the image is, by the cells of its lines: where these differ, nothing is known."""
        if "file" not in self.columns.of:
            return None
        return values.other_file(path, said.pop()) if len(said) == 1 else ""

    def _usage(self, row: Sequence[str], line: int, problems: list[Problem]) -> Usage | None:
        if "usage" not in self.columns.of:
            return self.usage
        return values.usage_of_column(self._cell(row, "usage"), self._name("usage"), f"{self.name}:{line}", problems)

    def _annotations(self, row: Sequence[str], line: int, problems: list[Problem]) -> Iterator[ParsedAnnotation]:
        more = (row[index] or "" for index in self.columns.more_labels if index < len(row))
        labels = [self._cell(row, "label"), *more, *re.split(r"[|;]", self._cell(row, "labels"))]
        labels = [label.strip() for label in labels if label.strip()]
        shape = None if self.options.kind == "IMAGE_CLASSIFICATION" else self._shape(row)
        if shape is not None and not labels:
            raise Invalid("A box must have a label, and this one has none.")

        def note(message: str) -> None:
            problems.append(Problem(f"{self.name}:{line}", message))

        confidence = values.known_confidence(self._cell(row, "confidence"), self._name("confidence"), note)
        confirmed = self._cell(row, "confirmed").lower() not in FALSE
        author = values.author(self._cell(row, "labeledby"), self._cell(row, "labeledat"), note, confirmed=confirmed)
        for label in labels:
            yield ParsedAnnotation(values.text(label, "label"), shape, confidence, line=line, author=author)

    def _shape(self, row: Sequence[str]) -> Shape | None:
        geometry = self._cell(row, "geometry")
        if geometry:
            with suppress(orjson.JSONDecodeError):
                return shapes.from_json(orjson.loads(geometry))
            raise Invalid("`geometry` is not a shape as JSON.")
        if any(self._cell(row, name) for name in EDGES):
            return BoundingBox(*(values.number(self._cell(row, name), self._name(name)) for name in EDGES))
        if "across" in self.columns.of and any(self._cell(row, name) for name in SIDES):
            x, y, width, height = (values.number(self._cell(row, name), self._name(name)) for name in SIDES)
            return BoundingBox(x, y, x + width, y + height)
        return None


def _rows(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Each with the number of its first line."""
    lines = text_lines(file)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as wrong:
            reason = LONE_CR if "new-line" in str(wrong) else str(wrong)
            raise Invalid(f"Line {line} is not CSV: {reason}.") from None
        yield line, row


def _delimiter(line: str) -> str:
    """What separates the most cells of the first line, outside of quotation marks."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max(DELIMITERS, key=lambda each: (bare.count(each), -DELIMITERS.index(each)))
