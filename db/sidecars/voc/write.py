"""VOC files written: the same marks give the same bytes, and reading them gives the same marks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final
from xml.sax.saxutils import escape

from db.shapes import BoundingBox, Circle, PointShape, Polygon, PolyLine, Position, Shape
from db.sidecars.content import Mark

UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML, even escaped


def write(marks: Iterable[Mark], *, folder: str, file_name: str, size: tuple[int, int], segmented: bool) -> bytes:
    """The sidecar of an image. `segmented`: of a segmentation dataset, whose labels then have their mask's colour.

    Marks of the whole image are left out: VOC has no place for them.
    """
    width, height = size
    lines = [
        "<annotation>",
        f"\t<folder>{_text(folder)}</folder>",
        f"\t<filename>{_text(file_name)}</filename>",
        "\t<source><database>Unknown</database></source>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        f"\t<segmented>{segmented:d}</segmented>",
        *(line for mark in marks if mark.shape is not None for line in _object(mark, mark.shape, segmented)),
        "</annotation>",
        "",
    ]
    return "\n".join(lines).encode()


def _object(mark: Mark, shape: Shape, segmented: bool) -> Iterator[str]:
    yield "\t<object>"
    yield f"\t\t<name>{_text(mark.label)}</name>"
    yield "\t\t<pose>Unspecified</pose>"
    yield "\t\t<truncated>0</truncated>"
    yield "\t\t<occluded>0</occluded>"
    yield f"\t\t<difficult>{mark.hard:d}</difficult>"
    if mark.confidence is not None:
        yield f"\t\t<confidence>{mark.confidence!r}</confidence>"
    if segmented:
        yield f"\t\t<mask_color>{_color(mark.label)}</mask_color>"
    name, values = _shape(shape)
    inner = "".join(f"<{key}>{_number(value)}</{key}>" for key, value in values)
    yield f"\t\t<{name}>{inner}</{name}>"
    yield "\t</object>"


def _shape(shape: Shape) -> tuple[str, Sequence[tuple[str, float]]]:
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max):
            return "bndbox", [("xmin", x_min), ("ymin", y_min), ("xmax", x_max), ("ymax", y_max)]
        case Polygon(points):
            return "polygon", _points(points)
        case PolyLine(points):
            return "polyline", _points(points)
        case Circle(center, radius):
            return "circle", [("cx", center.x), ("cy", center.y), ("r", radius)]
        case PointShape(position):
            return "point", [("x", position.x), ("y", position.y)]


def _points(points: Sequence[Position]) -> list[tuple[str, float]]:
    return [pair for n, point in enumerate(points, start=1) for pair in ((f"x{n}", point.x), (f"y{n}", point.y))]


def _number(value: float) -> str:
    """Whole numbers without a point: many readers of VOC take no other."""
    return str(int(value)) if value == int(value) else repr(value)


def _color(label: str) -> str:
    """Of a label the same everywhere, without a table of colours; never black, which is the background."""
    red, green, blue = sha256(label.encode()).digest()[:3]
    return f"{red},{green},{blue | 1}"


def _text(text: str) -> str:
    return escape(UNWRITABLE.sub("\ufffd", text))
