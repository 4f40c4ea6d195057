"""Masks of COCO as outlines."""

from itertools import pairwise
from random import Random

import pytest

from db.formats.datasets.readers import masks
from db.formats.shapes import Polygon, Position


@pytest.mark.parametrize("seed", range(30))
def test_outlines_cover_what_the_mask_covers(seed: int) -> None:
    """A pixel is in an odd number of outlines, counted from above, if it is covered or in a hole."""
    random = Random(seed)
    height, width = random.randrange(1, 12), random.randrange(1, 12)
    share = random.random()
    covered = {(x, y) for x in range(width) for y in range(height) if random.random() < share}
    runs, value = [0], False
    for x in range(width):
        for y in range(height):
            if ((x, y) in covered) != value:
                value = not value
                runs.append(0)
            runs[-1] += 1
    polygons, holes = masks.outlines({"size": [height, width], "counts": runs})
    filled = {
        (x, y)
        for polygon in polygons
        for x in range(width)
        for y in range(height)
        if sum(_is_above(a, b, x, y) for a, b in pairwise((*polygon.points, polygon.points[0]))) % 2
    }
    assert covered <= filled
    assert (filled == covered) or holes


def _is_above(start: Position, end: Position, x: int, y: int) -> bool:
    return start.y == end.y and start.y <= y and min(start.x, end.x) <= x < max(start.x, end.x)


def test_parts_of_a_mask_that_touch_in_a_corner_are_apart() -> None:
    polygons, _ = masks.outlines({"size": [2, 2], "counts": [0, 1, 2, 1]})
    assert [len(polygon.points) for polygon in polygons] == [4, 4]


def test_a_mask_in_pycocotools_text() -> None:
    """What it makes of a 10 × 20 mask with rows 1–2 of the columns 0–1 covered."""
    [square], holes = masks.outlines({"size": [10, 20], "counts": "1280c5"})
    assert square == Polygon((Position(0, 1), Position(2, 1), Position(2, 3), Position(0, 3)))
    assert holes == 0
