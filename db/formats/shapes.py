"""Shapes on images: their types, how they are stored, which are valid.

Coordinates are pixels of the image **as stored**, before any EXIF rotation, from its outer top left corner: x runs from
0 to the width, y from 0 to the height, both inclusive, with fractions down to a millionth. `Sample.width` and `.height`
are of the same raster, and so are PASCAL VOC's numbers; some tools count those from 1, and are not corrected.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from db.errors import Invalid

MAX_POINTS: Final = 10_000  # of one shape
DIGITS: Final = 6  # after the decimal point; Postgres would write all digits of 5e-324


@dataclass(frozen=True, slots=True)
class Position:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class BoundingBox:
    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True)
class Polygon:
    """Closed: the last point need not repeat the first."""

    points: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Polyline:
    points: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Circle:
    center: Position
    radius: float


@dataclass(frozen=True, slots=True)
class Point:
    position: Position


Shape = BoundingBox | Polygon | Polyline | Circle | Point


@dataclass(frozen=True, slots=True)
class Raster:
    """The size of an image as stored, in pixels, and the EXIF orientation, 1 to 8, by which viewers turn it."""

    width: int
    height: int
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as viewers show it."""
        return self.size if self.orientation < 5 else (self.height, self.width)


# The shapes of a dataset's annotations, by its type.
ALLOWED: Final[Mapping[str, tuple[type[Shape], ...]]] = {
    "IMAGE_CLASSIFICATION": (),
    "OBJECT_DETECTION": (BoundingBox, Polygon, Polyline, Circle, Point),
    "IMAGE_SEGMENTATION": (Polygon,),
}


def validated(shape: Shape, *, kind: str, width: int, height: int) -> Shape:
    """The shape, normalized, if a dataset of this type can have it on an image of this size. Raises Invalid."""
    allowed = ALLOWED[kind]
    if not allowed:
        raise Invalid("Annotations of an image classification dataset have no shapes: they apply to whole images.")
    if not isinstance(shape, allowed):
        names = ", ".join(each.__name__ for each in allowed)
        raise Invalid(f"Annotations of this dataset have shapes of these types: {names}.")
    shape = _rounded(shape)
    _expect_form(shape)
    left, top, right, bottom = extent(shape)
    if left < 0 or top < 0 or right > width or bottom > height:
        raise Invalid(
            f"The shape reaches from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), beyond the image of "
            f"{width} × {height} pixels.",
            width=width,
            height=height,
        )
    return shape


def to_stored(shape: Shape, raster: Raster) -> Shape:
    """A shape that was drawn on the upright image, in stored pixels."""
    return _turned(shape, partial(_stored_position, raster))


def to_upright(shape: Shape, raster: Raster) -> Shape:
    """A shape in stored pixels, as it is on the upright image."""
    return _turned(shape, partial(_upright_position, raster))


def _turned(shape: Shape, move: Callable[[Position], Position]) -> Shape:
    turned = _moved(shape, move)
    if isinstance(turned, BoundingBox):
        (x_min, x_max), (y_min, y_max) = sorted((turned.x_min, turned.x_max)), sorted((turned.y_min, turned.y_max))
        return BoundingBox(x_min, y_min, x_max, y_max)
    return turned


def _moved(shape: Shape, move: Callable[[Position], Position]) -> Shape:
    """The shape with other points."""
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max):
            one, other = move(Position(x_min, y_min)), move(Position(x_max, y_max))
            return BoundingBox(one.x, one.y, other.x, other.y)
        case Polygon(points) | Polyline(points):
            return replace(shape, points=tuple(map(move, points)))
        case Circle(center, radius):
            return Circle(move(center), radius)
        case Point(position):
            return Point(move(position))


def _stored_position(raster: Raster, point: Position) -> Position:
    x, y = (point.x, point.y) if raster.orientation < 5 else (point.y, point.x)
    return Position(
        raster.width - x if raster.orientation in (2, 3, 7, 8) else x,
        raster.height - y if raster.orientation in (3, 4, 6, 7) else y,
    )


def _upright_position(raster: Raster, point: Position) -> Position:
    x = raster.width - point.x if raster.orientation in (2, 3, 7, 8) else point.x
    y = raster.height - point.y if raster.orientation in (3, 4, 6, 7) else point.y
    return Position(*(_decimal(each) for each in ((x, y) if raster.orientation < 5 else (y, x))))


def _decimal(number: float) -> float:
    """Without the digits that a subtraction adds: 10 − 9.9 is 0.1."""
    return round(number, DIGITS) + 0.0


def scaled(shape: Shape, x: float, y: float) -> Shape:
    """With coordinates times x and y. A circle stays one where both are equal, else it becomes the one of its area."""
    moved = _moved(shape, lambda point: Position(point.x * x, point.y * y))
    return replace(moved, radius=moved.radius * math.sqrt(abs(x * y))) if isinstance(moved, Circle) else moved


def clamped(shape: Shape, width: int, height: int, *, by: float | None = None) -> Shape:
    """With its points moved to the nearest ones of the image; those alone, with `by`, that are beyond it by at most so
    many pixels. A circle stays as it is, and so does what would have no extent left."""
    if isinstance(shape, Circle) or (isinstance(shape, Polygon | Polyline) and not shape.points):
        return shape
    moved = _moved(shape, lambda point: Position(_clamped(point.x, width, by), _clamped(point.y, height, by)))
    left, top, right, bottom = extent(moved)
    match shape:
        case BoundingBox() | Polygon() if left == right or top == bottom:
            return shape
        case Polyline() if left == right and top == bottom:
            return shape
    return moved


def _clamped(number: float, limit: int, by: float | None) -> float:
    inside = min(max(number, 0.0), float(limit))
    return inside if by is None or abs(number - inside) <= by else number


def to_json(shape: Shape) -> dict[str, Any]:
    """As it is stored; see `db.queries.types.annotation`, which reads it."""
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max):
            return {"type": "BoundingBox", "xMin": x_min, "yMin": y_min, "xMax": x_max, "yMax": y_max}
        case Polygon(points) | Polyline(points):
            return {"type": type(shape).__name__, "points": [_point(point) for point in points]}
        case Circle(center, radius):
            return {"type": "Circle", "center": _point(center), "radius": radius}
        case Point(position):
            return {"type": "Point", "position": _point(position)}


def from_json(stored: Mapping[str, Any]) -> Shape:
    """What `to_json` wrote. Raises Invalid for anything else, since manifests of other programs may contain it. Lines
    that an import staged before migration 0017 have `PolyLine` and `PointShape`."""
    try:
        match stored["type"]:
            case "BoundingBox":
                return BoundingBox(*(_number(stored[name]) for name in ("xMin", "yMin", "xMax", "yMax")))
            case "Polygon":
                return Polygon(tuple(map(_position, stored["points"])))
            case "Polyline" | "PolyLine":
                return Polyline(tuple(map(_position, stored["points"])))
            case "Circle":
                return Circle(_position(stored["center"]), _number(stored["radius"]))
            case "Point" | "PointShape":
                return Point(_position(stored["position"]))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        pass
    raise Invalid("This is not a shape as it is stored.")


def _position(stored: Mapping[str, Any]) -> Position:
    return Position(_number(stored["x"]), _number(stored["y"]))


def _number(stored: object) -> float:
    if isinstance(stored, bool) or not isinstance(stored, int | float):
        raise TypeError
    return float(stored)


def _point(position: Position) -> dict[str, float]:
    return {"x": position.x, "y": position.y}


def _rounded(shape: Shape) -> Shape:
    """With numbers that can be stored, and a polygon without the repetition of its first point."""
    if isinstance(shape, BoundingBox):  # most shapes are boxes, and this takes a third of the time
        return BoundingBox(_round(shape.x_min), _round(shape.y_min), _round(shape.x_max), _round(shape.y_max))
    rounded = _moved(shape, lambda point: Position(_round(point.x), _round(point.y)))
    match rounded:
        case Circle(center, radius):
            return Circle(center, _round(radius))
        case Polygon(points) if len(points) > 1 and points[0] == points[-1]:
            return Polygon(points[:-1])
        case _:
            return rounded


def _round(number: float) -> float:
    if not math.isfinite(number):
        raise Invalid("The numbers of a shape must be finite.")
    return round(number, DIGITS) + 0.0  # no negative zero


def _expect_form(shape: Shape) -> None:
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max) if x_min >= x_max or y_min >= y_max:
            raise Invalid(
                "The left edge of a box must be left of its right edge, and its top edge above its bottom edge."
            )
        case Circle(radius=radius) if radius <= 0:
            raise Invalid(f"A circle's radius must be more than 0, and is {radius:g}.")
        case Polygon(points) if len(set(points)) < 3:
            raise Invalid(f"A polygon must have at least 3 different points, and has {len(set(points))}.")
        case Polyline(points) if len(set(points)) < 2:
            raise Invalid(f"A line must have at least 2 different points, and has {len(set(points))}.")
        case Polygon(points) | Polyline(points) if len(points) > MAX_POINTS:
            raise too_many_points(len(points))


def too_many_points(count: int) -> Invalid:
    return Invalid(f"A shape must have at most {MAX_POINTS:,} points, and has {count:,}.", most=MAX_POINTS)


def extent(shape: Shape) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max):
            return x_min, y_min, x_max, y_max
        case Circle(center, radius):
            return center.x - radius, center.y - radius, center.x + radius, center.y + radius
        case Point(position):
            return position.x, position.y, position.x, position.y
        case Polygon(points) | Polyline(points):
            across, down = [point.x for point in points], [point.y for point in points]
            return min(across), min(down), max(across), max(down)


def area(shape: Shape) -> float:
    """Square pixels: of a polygon, as its outline is drawn, whatever its direction; 0 of lines and points."""
    match shape:
        case BoundingBox(x_min, y_min, x_max, y_max):
            return (x_max - x_min) * (y_max - y_min)
        case Circle(radius=radius):
            return math.pi * radius * radius
        case Polygon(points):
            following = (*points[1:], points[0])
            return abs(sum(a.x * b.y - b.x * a.y for a, b in zip(points, following, strict=True))) / 2
        case Polyline() | Point():
            return 0.0
