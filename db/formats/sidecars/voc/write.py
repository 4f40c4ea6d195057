"""Writing VOC files: equal annotations make equal bytes, and reading those returns the annotations."""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final
from xml.sax.saxutils import escape

from db.formats.annotations import ParsedAnnotation
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Shape, extent
from db.formats.sidecars.voc.parse import EDGES, enclosing

UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML, even escaped


def write(
    annotations: Iterable[ParsedAnnotation],
    *,
    folder: str,
    file_name: str,
    size: tuple[int, int],
    segmented: bool,
    hulls: bool = False,
) -> bytes:
    """The sidecar of an image. `segmented`: of a segmentation dataset, whose labels then have their mask's colour.
    `hulls`: other shapes than boxes and points have the box around them, too, for readers that know only boxes.

    Annotations of the whole image are left out: VOC cannot say them.
    """
    width, height = size
    lines = [
        "<annotation>",
        f"\t<folder>{xml_text(folder)}</folder>",
        f"\t<filename>{xml_text(file_name)}</filename>",
        "\t<source><database>Unknown</database></source>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        f"\t<segmented>{segmented:d}</segmented>",
        *(
            line
            for each in annotations
            if each.shape is not None
            for line in _object(each, each.shape, segmented, hulls)
        ),
        "</annotation>",
        "",
    ]
    return "\n".join(lines).encode()


def _object(annotation: ParsedAnnotation, shape: Shape, segmented: bool, hulls: bool) -> Iterator[str]:
    yield "\t<object>"
    yield f"\t\t<name>{xml_text(annotation.label)}</name>"
    attributes = annotation.attributes
    yield f"\t\t<pose>{xml_text(attributes.pose or 'Unspecified')}</pose>"
    yield f"\t\t<truncated>{attributes.truncated:d}</truncated>"
    yield f"\t\t<occluded>{attributes.occluded:d}</occluded>"
    yield f"\t\t<difficult>{attributes.difficult:d}</difficult>"
    if annotation.confidence is not None:
        yield f"\t\t<confidence>{annotation.confidence!r}</confidence>"
    if segmented:
        # A label has the same colour everywhere, without a table; never black, which is the background.
        red, green, blue = sha256(annotation.label.encode()).digest()[:3]
        yield f"\t\t<mask_color>{red},{green},{blue | 1}</mask_color>"
    # Many readers of VOC take only whole numbers in a `bndbox`. Other numbers follow it, in `exact`.
    elements = [_element(shape)]
    if isinstance(shape, BoundingBox) and (whole := enclosing(shape)) != shape:
        elements = [_element(whole), ("exact", _edges(shape))]
    elif hulls and not isinstance(shape, BoundingBox | Point):
        elements = [_element(enclosing(BoundingBox(*extent(shape)))), *elements]
    for name, values in elements:
        # Whole numbers are written without a point: many readers of VOC take no other.
        inner = "".join(f"<{key}>{int(n) if n == int(n) else repr(n)}</{key}>" for key, n in values)
        yield f"\t\t<{name}>{inner}</{name}>"
    yield "\t</object>"


def _edges(box: BoundingBox) -> Sequence[tuple[str, float]]:
    return list(zip(EDGES, extent(box), strict=True))


def _element(shape: Shape) -> tuple[str, Sequence[tuple[str, float]]]:
    match shape:
        case BoundingBox():
            return "bndbox", _edges(shape)
        case Polygon(points):
            return "polygon", _points(points)
        case Polyline(points):
            return "polyline", _points(points)
        case Circle(center, radius):
            return "circle", [("cx", center.x), ("cy", center.y), ("r", radius)]
        case Point(position):
            return "point", [("x", position.x), ("y", position.y)]


def _points(points: Sequence[Position]) -> list[tuple[str, float]]:
    return [pair for n, point in enumerate(points, start=1) for pair in ((f"x{n}", point.x), (f"y{n}", point.y))]


def xml_text(text: str, *, escaped: bool = True) -> str:
    """Text as XML can have it; not escaped, where an attribute's quotation does that."""
    writable = UNWRITABLE.sub("\ufffd", text)
    return escape(writable) if escaped else writable
