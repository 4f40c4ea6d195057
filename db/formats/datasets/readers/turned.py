"""Shapes that tools turn: rectangles by an angle, and ellipses."""

import math
from typing import Final

from db.formats.shapes import Circle, Polygon, Position, Shape

CORNERS: Final = 64  # of the polygon that an ellipse becomes


def rectangle(left: float, top: float, width: float, height: float, *, degrees: float, around: Position) -> Polygon:
    """Its corners, after it was turned clockwise."""
    corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    return Polygon(tuple(_turned(Position(x, y), around, degrees) for x, y in corners))


def ellipse(center: Position, across: float, down: float, *, degrees: float) -> Shape:
    """A circle where the radii are equal, to a thousandth; else a polygon."""
    if abs(across - down) <= max(abs(across), abs(down)) / 1000:
        return Circle(center, (across + down) / 2)
    angles = (2 * math.pi * corner / CORNERS for corner in range(CORNERS))
    points = (Position(center.x + across * math.cos(a), center.y + down * math.sin(a)) for a in angles)
    return Polygon(tuple(_turned(point, center, degrees) for point in points))


def _turned(point: Position, around: Position, degrees: float) -> Position:
    if not degrees:
        return point
    angle = math.radians(degrees)
    x, y = point.x - around.x, point.y - around.y
    return Position(
        around.x + x * math.cos(angle) - y * math.sin(angle), around.y + x * math.sin(angle) + y * math.cos(angle)
    )
