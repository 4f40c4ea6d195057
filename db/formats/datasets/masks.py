"""Shapes as run-length encoded masks of COCO, as `readers/masks.py` reads them.

A pixel is covered if its centre is inside the outline; what an outline encloses twice is outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, sqrt
from typing import Any, Final

from db.formats.shapes import Circle, Polygon

MAX_RUNS: Final = 200_000  # that readers take

Columns = Mapping[int, Sequence[float]]  # of each, the heights at which the outline crosses the middle of its pixels


def mask(shape: Polygon | Circle, width: int, height: int) -> tuple[dict[str, Any], int] | None:
    """A mask, and how many pixels it covers. None: it covers none, or has too many runs."""
    columns = _of_circle(shape, width) if isinstance(shape, Circle) else _of_polygon(shape, width)
    runs, end = [0], 0  # the last one is covered where their number is even
    for start, stop in () if columns is None else _covered(columns, height):
        if len(runs) == 1:
            runs = [start, stop - start]
        elif start == end:
            runs[-1] += stop - start
        else:
            runs += [start - end, stop - start]
        end = stop
    if len(runs) == 1:
        return None
    rest = width * height - end
    return {"size": [height, width], "counts": _encoded([*runs, rest] if rest else runs)}, sum(runs[1::2])


def _of_polygon(polygon: Polygon, width: int) -> Columns | None:
    columns: dict[int, list[float]] = {}
    count = 0
    for start, end in zip(polygon.points, (*polygon.points[1:], polygon.points[0]), strict=True):
        left, right = (start, end) if start.x <= end.x else (end, start)
        first, last = max(0, ceil(left.x - 0.5)), min(width, ceil(right.x - 0.5))
        count += max(0, last - first)
        if count > MAX_RUNS:
            return None
        for x in range(first, last):
            y = left.y + (x + 0.5 - left.x) * (right.y - left.y) / (right.x - left.x)
            columns.setdefault(x, []).append(y)
    return columns


def _of_circle(circle: Circle, width: int) -> Columns | None:
    first, last = (ceil(circle.center.x + side * circle.radius - 0.5) for side in (-1, 1))
    if last - first > MAX_RUNS // 2:
        return None
    halves = {
        x: sqrt(max(0.0, circle.radius**2 - (x + 0.5 - circle.center.x) ** 2))
        for x in range(max(0, first), min(width, last))
    }
    return {x: (circle.center.y - half, circle.center.y + half) for x, half in halves.items()}


def _covered(columns: Columns, height: int) -> Iterator[tuple[int, int]]:
    """Covered pixels, counted down the columns from left to right: from, and up to without."""
    for x in sorted(columns):
        rows = [min(max(0, ceil(y - 0.5)), height) for y in sorted(columns[x])]
        for top, bottom in zip(rows[::2], rows[1::2], strict=True):
            if top < bottom:
                yield x * height + top, x * height + bottom


def _encoded(runs: Sequence[int]) -> str:
    """Five bits to a character, lowest first; from the fourth number on, what differs from the one before the last."""
    text = bytearray()
    for number, run in enumerate(runs):
        value = run - (runs[number - 2] if number > 2 else 0)
        while True:
            bits, value = value & 0x1F, value >> 5
            is_last = value == (-1 if bits & 0x10 else 0)
            text.append(48 + (bits if is_last else bits | 0x20))
            if is_last:
                break
    return text.decode()
