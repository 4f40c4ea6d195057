"""Reading VOC files: what is valid is taken, what is not is reported with its line."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

from db.errors import Invalid
from db.formats.annotations import ATTRIBUTES, Attributes, ParsedAnnotation
from db.formats.names import LabelNameRefused, LabelNameRule, excerpt, label_name
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Shape, extent
from db.formats.sidecars.content import Problem, Sidecar, declared_encoding, decoded, useless
from db.formats.sidecars.voc.elements import Element, Wrong, read

MAX_BYTES: Final = 1024 * 1024
MAX_OBJECTS: Final = 10_000
NUMBER: Final = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
SIZE: Final = re.compile(r"([0-9]{1,9})(\.0{1,9})?")
MAX_POSE: Final = 64  # characters
SLACK: Final = 2  # pixels by which a box may miss the hull of its polygon: tools round, and count from 0 or from 1
EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
COORDINATE: Final = re.compile(r"([xy])([1-9][0-9]{0,4})")


def parse(data: bytes, rule: LabelNameRule | None = "STANDARD") -> Sidecar:
    """Read a sidecar. One without objects says "no labels"; one with nothing but mistakes says nothing. Without a rule
    the names of labels are returned as they are."""
    if len(data) > MAX_BYTES:
        return useless(f"A sidecar has at most {MAX_BYTES // 1024 // 1024} MiB; it was not read.")
    guesses = list[Problem]()
    try:
        text = decoded(data, named=declared_encoding(data), guesses=guesses)
    except Invalid as refused:
        return useless(refused.message)
    if text is None:
        return useless("The file is neither in UTF-8 nor in the encoding that it names; it was not read.")
    reader = _Reader(rule)
    reader.problems += guesses
    try:
        read(text, reader.add)
    except Wrong as refused:
        return useless(f"{refused.message} The file was not read.", refused.line)
    except _TooManyObjects:
        problem = Problem(reader.last, f"A sidecar has at most {MAX_OBJECTS:,} objects; the rest was not read.")
        reader.problems.append(problem)
    annotations = tuple(reader.annotations) if reader.annotations or not reader.objects else None
    hard = None if annotations is None else any(each.attributes.difficult for each in annotations)
    return Sidecar(annotations, tuple(reader.problems), reader.size, hard)


class _TooManyObjects(Exception):
    """There are more objects than are read."""


class _Reader:
    """What was read so far; `last` is the line of the last part."""

    def __init__(self, rule: LabelNameRule | None) -> None:
        self.rule = rule
        self.annotations: list[ParsedAnnotation] = []
        self.problems: list[Problem] = []
        self.size: tuple[int, int] | None = None
        self.objects = 0
        self.last = 0

    def add(self, part: Element) -> None:
        self.last = part.line
        if part.name == "size":
            self.size = _size(part)
            return
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise _TooManyObjects
        try:
            self.annotations.append(self._annotation(part))
        except Wrong as refused:
            self.problems.append(Problem(refused.line, refused.message, refused.name))

    def _annotation(self, part: Element) -> ParsedAnnotation:
        name = part.child("name")
        if name is None:
            raise Wrong("An object must have a `name`, and this one has none.", part.line)
        try:
            label = name.text if self.rule is None else label_name(name.text, self.rule)
        except LabelNameRefused as refused:
            raise Wrong(refused.message, name.line, refused.name) from None
        shape, confidence = _shape(part), self._confidence(part)
        flags = (part.child(name) for name in ("difficult", "truncated", "occluded"))
        difficult, truncated, occluded = (each is not None and each.text.lower() in ("1", "true") for each in flags)
        attributes = Attributes(difficult, truncated, occluded, self._pose(part), frozenset(ATTRIBUTES))
        return ParsedAnnotation(label, shape, confidence, attributes, part.line)

    def _confidence(self, part: Element) -> float | None:
        element = part.child("confidence")
        if element is None or not element.text:
            return None
        value = float(element.text) if NUMBER.fullmatch(element.text) else -1.0
        if 0 <= value <= 1:
            return value + 0.0
        self.problems.append(
            Problem(
                element.line,
                f"`confidence` must be a number from 0 to 1, and is '{excerpt(element.text)}'; it was ignored.",
            )
        )
        return None

    def _pose(self, part: Element) -> str | None:
        element = part.child("pose")
        if element is None or element.text.lower() in ("", "unspecified"):
            return None
        if len(element.text) > MAX_POSE:
            message = f"`pose` has at most {MAX_POSE} characters; it was ignored."
            self.problems.append(Problem(element.line, message))
            return None
        return element.text


def _size(part: Element) -> tuple[int, int] | None:
    found = [SIZE.fullmatch(child.text) for name in ("width", "height") if (child := part.child(name)) is not None]
    match found:
        case [re.Match() as width, re.Match() as height] if int(width[1]) and int(height[1]):
            return int(width[1]), int(height[1])
        case _:
            return None


def _shape(part: Element) -> Shape:
    """The one shape of an object. Some tools write a box with it: of a polygon that is its hull, and says no more. In
    the files of VOC 2012 a person has a point as well as the box, which is one point on the person."""
    shapes = [child for child in part.children if child.name in SHAPES]
    boxes = [child for child in shapes if child.name == "bndbox"]
    passed_over = {"bndbox", "point"} if boxes else set()
    others = [child for child in shapes if child.name not in passed_over]
    if not shapes:
        raise Wrong(f"An object must have a shape: {', '.join(SHAPES)}. This one has none.", part.line)
    if len(boxes) > 1 or len(others) > 1:
        raise Wrong(f"An object must have one shape, and this one has {len(boxes) + len(others)}.", shapes[1].line)
    if not others:
        return _exact(_box(boxes[0]), part)
    shape = SHAPES[others[0].name](others[0])
    if boxes and not _is_hull(_box(boxes[0]), shape):
        raise Wrong(f"The `bndbox` is not that of the `{others[0].name}`: an object has one shape.", boxes[0].line)
    return shape


def _is_hull(box: BoundingBox, shape: Shape) -> bool:
    if isinstance(shape, Polygon | Polyline) and not shape.points:
        return False
    return all(abs(edge - other) <= SLACK for edge, other in zip(extent(box), extent(shape), strict=True))


def _exact(box: BoundingBox, part: Element) -> BoundingBox:
    """What our own files say in addition to a `bndbox` of whole numbers; unless it was changed since, and this was
    not."""
    element = part.child("exact")
    try:
        exact = box if element is None else _box(element)
    except Wrong:
        return box
    return exact if enclosing(exact) == box else box


def enclosing(box: BoundingBox) -> BoundingBox:
    """The least box of whole numbers around a box."""
    if not all(map(math.isfinite, extent(box))):
        return box
    return BoundingBox(math.floor(box.x_min), math.floor(box.y_min), math.ceil(box.x_max), math.ceil(box.y_max))


def _box(element: Element) -> BoundingBox:
    return BoundingBox(*_numbers(element, *EDGES))


def _circle(element: Element) -> Shape:
    x, y, radius = _numbers(element, "cx", "cy", "r")
    return Circle(Position(x, y), radius)


def _point(element: Element) -> Shape:
    """The reference system's manual writes x1 and y1 where its files have x and y."""
    suffix = "" if element.child("x1") is None else "1"
    return Point(Position(*_numbers(element, f"x{suffix}", f"y{suffix}")))


SHAPES: Final[Mapping[str, Callable[[Element], Shape]]] = {
    "bndbox": _box,
    "polygon": lambda element: Polygon(_points(element)),
    **dict.fromkeys(("polyline", "line", "dashed"), lambda element: Polyline(_points(element))),
    "circle": _circle,
    "point": _point,
}


def _numbers(element: Element, *names: str) -> list[float]:
    values = _values(element)
    missing = [name for name in names if name not in values]
    if missing:
        raise Wrong(f"`{element.name}` has {', '.join(names)}; {missing[0]} is missing.", element.line)
    return [values[name] for name in names]


def _points(element: Element) -> tuple[Position, ...]:
    """x1, y1, x2, y2, …, in whatever order they are written."""
    numbered: dict[tuple[str, int], float] = {}
    for name, value in _values(element).items():
        match = COORDINATE.fullmatch(name)
        if match is None:
            raise Wrong(f"`{element.name}` has x1, y1, x2, y2, … and nothing else.", element.line)
        numbered[match[1], int(match[2])] = value
    count = len(numbered) // 2
    try:
        points = tuple(Position(numbered["x", n], numbered["y", n]) for n in range(1, count + 1))
    except KeyError:
        points = ()
    if 2 * len(points) != len(numbered):
        raise Wrong(f"`{element.name}` has x1, y1, x2, y2, … without a gap.", element.line)
    return points


def _values(element: Element) -> dict[str, float]:
    values: dict[str, float] = {}
    for child in element.children:
        text = "" if child.children else child.text
        value = float(text) if NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(value):
            said = f"'{excerpt(text)}'" if text else "empty"
            raise Wrong(f"`{child.name[:20]}` must be a number, and is {said}.", child.line)
        if child.name in values:
            raise Wrong(f"`{child.name[:20]}` occurs twice.", child.line)
        values[child.name] = value
    return values
