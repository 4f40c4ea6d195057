"""Run-length encoded masks of COCO, and the outlines of what they cover.

A mask is written column by column: how many pixels are not covered, then how many are, and so on; as numbers, or in
pycocotools' text of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from db.errors import Invalid
from db.formats.shapes import Polygon, Position

MAX_RUNS: Final = 200_000
MAX_SIDE: Final = 65_535  # pixels
WRONG: Final = "`segmentation` is not a run-length encoded mask: `size` [height, width], and `counts` that fill it."
TOO_MANY: Final = f"A mask has at most {MAX_RUNS:,} runs."

Corner = tuple[int, int]
Column = list[Corner]  # where covered pixels begin and end


def outlines(mask: dict[str, Any]) -> tuple[list[Polygon], int]:
    """A polygon along the edges of the pixels for each part that hangs together by sides of pixels; and how many holes
    the parts have, which polygons cannot express. Raises Invalid."""
    height, width = _size(mask.get("size"))
    counts = mask.get("counts")
    runs = _decoded(counts) if isinstance(counts, str) else _numbers(counts)
    if sum(runs) != height * width or any(run < 0 for run in runs):
        raise Invalid(WRONG)
    loops = list(_loops(_edges(_columns(runs, height))))
    parts = [loop for loop in loops if _area(loop) > 0]
    return [Polygon(tuple(Position(float(x), float(y)) for x, y in part)) for part in parts], len(loops) - len(parts)


def _size(size: Any) -> tuple[int, int]:
    match size:
        case [int() as height, int() as width] if 1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE:
            return height, width
    raise Invalid(WRONG)


def _numbers(counts: Any) -> list[int]:
    if not isinstance(counts, list) or any(type(count) is not int for count in counts):
        raise Invalid(WRONG)
    if len(counts) > MAX_RUNS:
        raise Invalid(TOO_MANY)
    return counts


def _decoded(text: str) -> list[int]:
    """Five bits to a character, lowest first; from the third number on, what differs from the one before the last."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise Invalid(WRONG)
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
            if len(counts) > MAX_RUNS:
                raise Invalid(TOO_MANY)
    if shift:
        raise Invalid(WRONG)
    return counts


def _columns(runs: Sequence[int], height: int) -> dict[int, Column]:
    columns = defaultdict[int, Column](list)
    position = 0
    for number, run in enumerate(runs):
        start, position = position, position + run
        while number % 2 and start < position:
            x, y = divmod(start, height)
            end = min(position, (x + 1) * height)
            columns[x].append((y, end - x * height))
            start = end
    return columns


def _edges(columns: dict[int, Column]) -> dict[Corner, list[Corner]]:
    """Where each edge between a covered pixel and one that is not leads to, with the covered one on its right."""
    edges = defaultdict[Corner, list[Corner]](list)
    for x, column in columns.items():
        for top, bottom in column:
            edges[x, top].append((x + 1, top))
            edges[x + 1, bottom].append((x, bottom))
    for x in columns.keys() | {x + 1 for x in columns}:
        for top, bottom, is_left in _differences(columns.get(x - 1, []), columns.get(x, [])):
            start, end = (bottom, top) if is_left else (top, bottom)
            edges[x, start].append((x, end))
    return edges


def _differences(before: Column, after: Column) -> Iterator[tuple[int, int, bool]]:
    """From where to where one of two neighbouring columns is covered, and whether it is the right one."""
    flips = sorted([(y, 1) for run in before for y in run] + [(y, 2) for run in after for y in run])
    covered = since = 0
    for y, side in flips:
        if covered in (1, 2) and since < y:
            yield since, y, covered == 2
        covered ^= side
        since = y


def _loops(edges: dict[Corner, list[Corner]]) -> Iterator[list[Corner]]:
    """Corners where the direction changes. Where two parts touch in a corner, each loop stays with its own part. Each
    loop begins at its leftmost corner, of these the topmost, through which it leads only once."""
    for first in sorted(edges):
        while edges[first]:
            loop, corner, following = [first], first, edges[first].pop()
            while following != first:
                direction = _direction(corner, following)
                right, ways = (-direction[1], direction[0]), edges[following]
                index = next((n for n, way in enumerate(ways) if _direction(following, way) == right), 0)
                way = ways.pop(index)
                if _direction(following, way) != direction:
                    loop.append(following)
                corner, following = following, way
            yield loop


def _direction(start: Corner, end: Corner) -> Corner:
    x, y = end[0] - start[0], end[1] - start[1]
    return (x > 0) - (x < 0), (y > 0) - (y < 0)


def _area(loop: Sequence[Corner]) -> int:
    """Twice the area, positive where the loop runs clockwise on the screen."""
    return sum(x * v - u * y for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True))
