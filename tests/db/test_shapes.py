"""Which shapes are possible on an image of 640 × 480 pixels, and how they are stored."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats.shapes import (
    MAX_POINTS,
    BoundingBox,
    Circle,
    Point,
    Polygon,
    Polyline,
    Position,
    Shape,
    from_json,
    to_json,
    validated,
)

across, down = (st.floats(0, most).map(lambda number: round(number, 6)) for most in (640, 480))
positions = st.builds(Position, across, down)


def ordered(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


def outlines(least: int) -> st.SearchStrategy[tuple[Position, ...]]:
    return st.lists(positions, min_size=least, max_size=12, unique=True).map(tuple)


shapes: st.SearchStrategy[Shape] = st.one_of(
    st.tuples(ordered(across), ordered(down)).map(lambda xy: BoundingBox(xy[0][0], xy[1][0], xy[0][1], xy[1][1])),
    st.builds(Polygon, outlines(3)),
    st.builds(Polyline, outlines(2)),
    st.builds(
        Circle,
        st.builds(Position, st.integers(100, 500).map(float), st.integers(100, 380).map(float)),
        st.integers(1, 99).map(float),
    ),
    st.builds(Point, positions),
)


def line(*numbers: float) -> tuple[Position, ...]:
    return tuple(Position(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def look(shape: Shape, kind: str = "OBJECT_DETECTION") -> Shape:
    return validated(shape, kind=kind, width=640, height=480)


@given(shapes)
def test_a_possible_shape_is_taken_stored_and_read_back(shape: Shape) -> None:
    assert look(shape) == shape
    assert from_json(orjson.loads(orjson.dumps(to_json(shape)))) == shape


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (BoundingBox(30, 20, 10, 40), "left edge"),
        (BoundingBox(10, 40, 30, 40), "left edge"),
        (BoundingBox(-1, 0, 10, 10), "beyond the image of 640 × 480"),
        (BoundingBox(0, 0, 640.5, 10), "beyond"),
        (BoundingBox(0, 0, 10, 481), "beyond"),
        (BoundingBox(math.nan, 0, 10, 10), "finite"),
        (BoundingBox(0, 0, math.inf, 10), "finite"),
        (BoundingBox(1, 1, 1.0000001, 2), "left edge"),
        (Circle(Position(5, 5), 0), "radius"),
        (Circle(Position(5, 5), 5e-324), "radius"),
        (Circle(Position(5, 5), -1), "radius"),
        (Circle(Position(5, 5), 6), "beyond"),
        (Point(Position(641, 0)), "beyond"),
        (Point(Position(0, -math.inf)), "finite"),
        (Polygon(line(0, 0, 5, 5)), "3 different"),
        (Polygon(line(0, 0, 5, 5, 0, 0)), "3 different"),
        (Polygon(()), "3 different"),
        (Polyline(line(3, 3)), "2 different"),
        (Polyline(line(3, 3, 3, 3)), "2 different"),
        (Polyline(line(0, 0, 700, 5)), "beyond"),
        (Polyline(line(*(float(n % 400) for n in range(2 * MAX_POINTS + 2)))), "at most 10,000 points"),
    ],
)
def test_an_impossible_shape_is_refused_with_the_reason(shape: Shape, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        look(shape)


def test_the_edges_belong_to_the_image() -> None:
    whole = BoundingBox(0, 0, 640, 480)
    assert look(whole) == whole


def test_a_polygon_need_not_be_closed_and_is_the_same_when_it_is() -> None:
    assert look(Polygon(line(0, 0, 5, 0, 5, 5, 0, 0))) == Polygon(line(0, 0, 5, 0, 5, 5))


def test_segmentation_has_polygons_and_classification_no_shapes() -> None:
    box, area = BoundingBox(0, 0, 5, 5), Polygon(line(0, 0, 5, 0, 5, 5))
    assert look(area, "IMAGE_SEGMENTATION") == area
    with pytest.raises(Invalid, match=r"these types: Polygon\."):
        look(box, "IMAGE_SEGMENTATION")
    with pytest.raises(Invalid, match="whole images"):
        look(area, "IMAGE_CLASSIFICATION")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"type": "Star"},
        {"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 3},
        {"type": "BoundingBox", "xMin": "1", "yMin": 2, "xMax": 3, "yMax": 4},
        {"type": "BoundingBox", "xMin": True, "yMin": 2, "xMax": 3, "yMax": 4},
        {"type": "BoundingBox", "xMin": 10**400, "yMin": 2, "xMax": 3, "yMax": 4},
        {"type": "Polygon", "points": 5},
        {"type": "Polygon", "points": [5]},
        {"type": "Polygon", "points": "ab"},
        {"type": "Circle", "center": None, "radius": 1},
        {"type": ["Circle"]},
        [],
        None,
    ],
)
def test_what_is_no_shape_is_refused(stored: Any) -> None:
    with pytest.raises(Invalid, match="not a shape"):
        from_json(stored)
