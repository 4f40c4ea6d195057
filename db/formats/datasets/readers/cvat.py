"""CVAT for images 1.1: XML with an `image` for each, and in it `box`, `polygon`, `polyline`, `points`, `ellipse`,
`mask` and `tag`. Numbers are pixels of the upright image.

A box that is turned becomes a polygon, several `points` an annotation each, a mask polygons along its pixels. Of the
attributes `difficult`, `truncated`, `occluded`, `pose`, `confidence`, `labeled_by` and `labeled_at` are read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from db.errors import Invalid
from db.formats.annotations import ATTRIBUTES, Attributes, ParsedAnnotation
from db.formats.datasets.cvat import NO_SPLIT
from db.formats.datasets.readers import masks, turned, values
from db.formats.datasets.readers.grouping import MAX_WEIGHT
from db.formats.datasets.readers.lines import xml_pieces
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Place, Problem, ReadOptions, Usage, opened
from db.formats.names import excerpt, quoted
from db.formats.shapes import BoundingBox, Point, Polygon, Polyline, Position, Shape

MAX_QUIET: Final = 4 * 1024 * 1024  # characters without the end of an element
MAX_DEPTH: Final = 16
MAX_TEXT: Final = 256  # characters of an attribute's value
MAX_NAMES: Final = 100  # of attributes that are reported
READ: Final = frozenset({"confidence", "labeled_by", "labeled_at"})  # of attributes, in addition to ATTRIBUTES
ROOT: Final = "annotations"


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names = [name for name in files.names() if name.lower().endswith(".xml")]
    if not names:
        raise Invalid("There is no file of XML.")
    for name in names:
        with opened(files, name) as file:
            yield from _read(file, name, options)


def _read(file: BinaryIO, name: str, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    parser = DefusedExpatParser(forbid_dtd=True)
    reader = _Reader(name, options, parser)
    parser.setContentHandler(reader)
    quiet = 0
    try:
        for text in xml_pieces(file):
            events = reader.events
            parser.feed(text)
            quiet = quiet + len(text) if reader.events == events else 0
            if quiet > MAX_QUIET:
                raise Invalid(f"{name}: An element has more than {MAX_QUIET // 1024 // 1024} MiB.")
            yield from reader.found
            reader.found.clear()
        parser.close()
    except SAXParseException as broken:
        raise Invalid(f"{name}:{broken.getLineNumber() or 0}: This is not well-formed XML.") from None
    except DefusedXmlException:
        raise Invalid(f"{name} has a document type definition, which CVAT does not write.") from None
    if not reader.events:
        raise Invalid(f"{name} is no file of CVAT: there is nothing in it.")
    yield from reader.found
    for attribute, count in reader.unread.items():
        yield Problem(name, f"The attribute `{excerpt(attribute)}` is not read; {count:,} annotations have it.")


class _Reader(ContentHandler):
    """`shape`: the element of a shape that is being read, with its attributes in `inner`."""

    def __init__(self, name: str, options: ReadOptions, parser: DefusedExpatParser) -> None:
        super().__init__()
        self.name, self.options, self.parser = name, options, parser
        self.found: list[ImageRecord | Problem] = []
        self.unread = Counter[str]()
        self.events = 0
        self.depth = 0
        self.image: Mapping[str, str] | None = None
        self.image_line = 0
        self.weight = 0  # characters of the present image's shapes
        self.annotations: list[ParsedAnnotation] = []
        self.problems: list[Problem] = []
        self.shape: tuple[str, Mapping[str, str], int] | None = None
        self.inner: dict[str, str] = {}
        self.attribute: str | None = None
        self.text: list[str] = []

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        self.events += 1
        self.depth += 1
        line = self.parser.getLineNumber() or 0
        if self.depth > MAX_DEPTH:
            raise Invalid(f"{self.name}:{line}: Elements are nested at most {MAX_DEPTH} deep.")
        match self.depth:
            case 1 if name != ROOT:
                raise Invalid(f"{self.name} is no file of CVAT: its outermost element is not `{ROOT}`.")
            case 2 if name == "image":
                self.image, self.image_line = dict(attrs.items()), line
                self.annotations, self.problems, self.weight = [], [], 0
            case 2 if name == "track":
                self.found.append(Problem(f"{self.name}:{line}", "Tracks of a video are not read."))
            case 3 if self.image is not None:
                self.shape, self.inner = (name, dict(attrs.items()), line), {}
            case 4 if self.shape is not None and name == "attribute":
                self.attribute, self.text = attrs.get("name", ""), []

    def characters(self, content: str) -> None:
        if self.attribute is not None and sum(map(len, self.text)) <= MAX_TEXT:
            self.text.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802
        self.events += 1
        match self.depth:
            case 2 if self.image is not None:
                self._add_image(self.image)
                self.image = None
            case 3 if self.shape is not None:
                self._add_shape(*self.shape)
                self.shape = None
            case 4 if self.attribute is not None:
                self.inner[self.attribute] = "".join(self.text).strip()[:MAX_TEXT]
                self.attribute = None
        self.depth -= 1

    def _add_image(self, image: Mapping[str, str]) -> None:
        location = f"{self.name}:{self.image_line}"
        try:
            path = values.path(image.get("name"), "name")
        except Invalid as refused:
            self.found.append(Problem(location, refused.message))
            return
        has_problem = bool(self.problems)
        usage = self._usage(image.get("subset"), location)
        folders = (*([f"images/{image['subset']}"] if image.get("subset") else []), "images")  # no part of paths
        whole = {each.label: each for each in reversed(self.annotations) if each.shape is None}
        annotations = [each for each in self.annotations if each.shape is not None or whole[each.label] is each]
        record = ImageRecord(
            path,
            location,
            tuple(annotations) if annotations or not has_problem else None,
            values.size(image.get("width"), image.get("height")),
            usage,
            problems=tuple(self.problems),
            folder=self.name.rpartition("/")[0],
            within=f"{self.name}:",
            drawn="UPRIGHT",
            places=() if "://" in path else tuple(Place(f"{folder}/{path}", path) for folder in folders),
        )
        self.found.append(record)

    def _usage(self, subset: str | None, location: str) -> Usage | None:
        """CVAT calls the subset of images in none `default`."""
        return None if subset == NO_SPLIT else values.usage(subset, "subset", location, self.problems)

    def _add_shape(self, kind: str, said: Mapping[str, str], line: int) -> None:
        place = f"{self.name}:{line}"
        self.weight += sum(map(len, said.values()))
        if len(self.annotations) >= MAX_ANNOTATIONS or self.weight > MAX_WEIGHT:
            if len(self.problems) <= MAX_ANNOTATIONS:
                self.problems.append(Problem(place, f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
            return
        try:
            label = values.text(said.get("label"), "label")
            is_whole = kind == "tag" or self.options.kind == "IMAGE_CLASSIFICATION"
            shapes: list[Shape | None] = [None] if is_whole else [*_shapes(kind, said)]
        except Invalid as refused:
            self._report(place, refused.message)
            return

        def note(message: str) -> None:
            self._report(place, message)

        known = values.known_confidence(self.inner.get("confidence"), "confidence", note), self._attributes(said, note)
        author = values.author(self.inner.get("labeled_by"), self.inner.get("labeled_at"), note)
        self.annotations += [ParsedAnnotation(label, shape, *known, line, author) for shape in shapes]

    def _report(self, place: str, message: str) -> None:
        if len(self.problems) <= MAX_ANNOTATIONS:
            self.problems.append(Problem(place, message))

    def _attributes(self, said: Mapping[str, str], note: values.Note) -> Attributes:
        for name in self.inner.keys() - {*ATTRIBUTES, *READ}:
            if name in self.unread or len(self.unread) < MAX_NAMES:
                self.unread[name] += 1
        inner = values.attributes(self.inner, note)
        if "occluded" not in said:
            return inner
        occluded = said["occluded"] == "1" or inner.occluded
        return replace(inner, occluded=occluded, said=inner.said | {"occluded"})


def _shapes(kind: str, said: Mapping[str, str]) -> Iterator[Shape]:
    match kind:
        case "box":
            left, top, right, bottom = (values.number(said.get(name), name) for name in ("xtl", "ytl", "xbr", "ybr"))
            degrees = values.number(said.get("rotation", "0"), "rotation")
            middle = Position((left + right) / 2, (top + bottom) / 2)
            box = BoundingBox(left, top, right, bottom)
            sides = right - left, bottom - top
            yield turned.rectangle(left, top, *sides, degrees=degrees, around=middle) if degrees else box
        case "polygon":
            yield Polygon(_points(said))
        case "polyline":
            yield Polyline(_points(said))
        case "points":
            yield from map(Point, _points(said))
        case "ellipse":
            x, y, across, down = (values.number(said.get(name), name) for name in ("cx", "cy", "rx", "ry"))
            degrees = values.number(said.get("rotation", "0"), "rotation")
            yield turned.ellipse(Position(x, y), across, down, degrees=degrees)
        case "mask":
            yield from _outlines(said)
        case _:
            raise Invalid(f"Shapes of the kind `{excerpt(kind)}` are not read.")


def _points(said: Mapping[str, str]) -> tuple[Position, ...]:
    points = []
    for pair in said.get("points", "").split(";"):
        x, comma, y = pair.partition(",")
        if not comma:
            raise Invalid(f"`points` must be written `x,y;x,y;…`, and has {quoted(pair)}.")
        points.append(Position(values.number(x, "points"), values.number(y, "points")))
    return tuple(points)


def _outlines(said: Mapping[str, str]) -> Iterator[Polygon]:
    """A mask is written row by row, within its box; as if it were one by columns of the mirrored image."""
    left, top, width, height = (values.number(said.get(name), name) for name in ("left", "top", "width", "height"))
    counts: list[Any] = [int(values.number(each, "rle")) for each in said.get("rle", "").split(",")]
    polygons, _ = masks.outlines({"size": [int(width), int(height)], "counts": counts})
    for polygon in polygons:
        yield Polygon(tuple(Position(left + point.y, top + point.x) for point in polygon.points))
