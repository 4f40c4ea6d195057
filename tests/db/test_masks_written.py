"""Shapes as run-length encoded masks, as COCO exports have them."""

import math
from random import Random

import pytest

from db.formats.datasets import masks
from db.formats.datasets.readers.masks import _columns, _decoded, outlines
from db.formats.shapes import Circle, Polygon, Position

WIDTH, HEIGHT = 24, 17


def covered(mask: dict[str, object]) -> set[tuple[int, int]]:
    runs = _decoded(str(mask["counts"]))
    assert mask["size"] == [HEIGHT, WIDTH]
    assert sum(runs) == WIDTH * HEIGHT
    assert all(run > 0 for run in runs[1:])
    return {(x, y) for x, rows in _columns(runs, HEIGHT).items() for top, bottom in rows for y in range(top, bottom)}


def is_inside(polygon: Polygon, x: float, y: float) -> bool:
    crossed = 0
    for a, b in zip(polygon.points, (*polygon.points[1:], polygon.points[0]), strict=True):
        if (a.x <= x) != (b.x <= x) and a.y + (x - a.x) * (b.y - a.y) / (b.x - a.x) <= y:
            crossed += 1
    return crossed % 2 == 1


@pytest.mark.parametrize("seed", range(40))
def test_a_mask_covers_the_pixels_whose_centres_are_inside(seed: int) -> None:
    chance = Random(seed)
    grid = chance.choice([1, 2, 100])  # corners on pixels, on centres, anywhere
    points = [
        Position(chance.randrange(WIDTH * grid + 1) / grid, chance.randrange(HEIGHT * grid + 1) / grid)
        for _ in range(chance.randrange(3, 9))
    ]
    polygon, pixels = Polygon(tuple(points)), [(x, y) for x in range(WIDTH) for y in range(HEIGHT)]
    inside = {(x, y) for x, y in pixels if is_inside(polygon, x + 0.5, y + 0.5)}
    made = masks.mask(polygon, WIDTH, HEIGHT)
    assert (set() if made is None else covered(made[0])) == inside
    assert (0 if made is None else made[1]) == len(inside)
    if made is not None:
        parts, holes = outlines(made[0])
        assert holes or sum(abs(_area(part)) for part in parts) == len(inside)


def _area(polygon: Polygon) -> float:
    following = (*polygon.points[1:], polygon.points[0])
    return sum(a.x * b.y - b.x * a.y for a, b in zip(polygon.points, following, strict=True)) / 2


@pytest.mark.parametrize("radius", [0.2, 1, 5.5, 30])
def test_a_circle_is_the_pixels_nearer_than_its_radius(radius: float) -> None:
    circle = Circle(Position(11.25, 7.5), radius)
    made = masks.mask(circle, WIDTH, HEIGHT)
    inside = {
        (x, y)
        for x in range(WIDTH)
        for y in range(HEIGHT)
        if math.dist((x + 0.5, y + 0.5), (circle.center.x, circle.center.y)) < radius
    }
    assert (set() if made is None else covered(made[0])) == inside


def test_what_covers_nothing_or_has_too_many_runs_is_no_mask() -> None:
    tiny = Polygon((Position(1, 1), Position(1.2, 1), Position(1.2, 1.2)))
    assert masks.mask(tiny, WIDTH, HEIGHT) is None
    teeth = Polygon(tuple(Position(0 if n % 2 else 60_000, n) for n in range(100)))
    assert masks.mask(teeth, 60_000, 60_000) is None
    assert masks.mask(Circle(Position(0, 0), 1e9), WIDTH, HEIGHT) is None
    frame = Polygon((Position(0, 0), Position(WIDTH, 0), Position(WIDTH, HEIGHT), Position(0, HEIGHT)))
    assert masks.mask(frame, WIDTH, HEIGHT) == ({"size": [HEIGHT, WIDTH], "counts": "0h<"}, WIDTH * HEIGHT)


def test_the_text_is_that_of_pycocotools() -> None:
    """What it makes of rows 1–2 of the columns 0–1 of a 10 × 20 mask."""
    square = Polygon((Position(0, 1), Position(2, 1), Position(2, 3), Position(0, 3)))
    assert masks.mask(square, 20, 10) == ({"size": [10, 20], "counts": "1280c5"}, 4)
