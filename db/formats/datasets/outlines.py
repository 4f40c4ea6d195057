"""Numbers of shapes, as files have them."""

from collections.abc import Iterator, Sequence

from db.formats import shapes
from db.formats.shapes import Polygon, Shape


def short(number: float) -> float:
    """Without the digits that arithmetic adds, and without a point where there is nothing behind it."""
    rounded = round(number, shapes.DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def coordinates(polygon: Polygon) -> Iterator[float]:
    """x, y, x, y, …"""
    for point in polygon.points:
        yield short(point.x)
        yield short(point.y)


def around(box: Sequence[float]) -> list[float]:
    """The outline of a box by its corner and size, closed, as polygons here are not: so it is known for a box."""
    left, top, width, height = box
    right, bottom = left + width, top + height
    return [left, top, right, top, right, bottom, left, bottom, left, top]


def corner_and_size(shape: Shape) -> list[float]:
    """Left, top, width and height of the box around it."""
    left, top, right, bottom = shapes.extent(shape)
    return [short(each) for each in (left, top, right - left, bottom - top)]
