"""AVIF files: the boxes that say how large the image is, and how it is turned. Nothing is decoded here."""

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from db.formats.images.content import UNKNOWN, Content, UnreadableImage

BRANDS: Final = frozenset({b"avif", b"avis"})
MAX_BRANDS: Final = 256  # bytes of them that are looked at
MAX_BOXES: Final = 1_000
EXIF_ITEM: Final = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
NO_SIZE: Final = "The file has no AVIF image whose size it says."
# By quarter turns anticlockwise, and by what is then exchanged: nothing, top and bottom, left and right.
ORIENTATIONS: Final = {0: (1, 4, 2), 1: (8, 5, 7), 2: (3, 2, 4), 3: (6, 7, 5)}


class Box(NamedTuple):
    kind: bytes
    start: int  # of its content
    end: int


def is_avif(data: bytes | bytearray) -> bool:
    if data[4:8] != b"ftyp":
        return False
    brands = bytes(data[8 : min(int.from_bytes(data[:4], "big"), MAX_BRANDS)])
    return any(brands[at : at + 4] in BRANDS for at in range(0, len(brands), 4) if at != 4)


def read(data: bytes) -> Content:
    """Of a sequence the image that stands for it. Raises UnreadableImage also where its boxes are behind these
    bytes."""
    boxes = list(_boxes(data, 0, len(data)))
    meta = next((box for box in boxes if box.kind == b"meta"), None)
    if meta is None or meta.end > len(data):
        raise UnreadableImage(NO_SIZE)
    try:
        size, orientation = _facts(data, meta)
    except (struct.error, IndexError):
        raise UnreadableImage(NO_SIZE) from None
    end = boxes[-1].end
    return Content(
        "AVIF",
        _without_exif(data, meta),
        min(end, len(data)),
        complete=end <= len(data),
        orientation=orientation,
        size=size,
        reach=end if any(box.kind == b"mdat" for box in boxes) else UNKNOWN,
    )


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """As far as there are boxes; the last one may end behind `end`."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= end:
            [length], head = struct.unpack_from(">Q", data, at + 8), 16
        elif length == 0:
            length = end - at
        if length < head or not kind.isalnum():
            return
        yield Box(kind, at + head, at + length)
        at += length


def _facts(data: bytes, meta: Box) -> tuple[tuple[int, int], int]:
    """Size and orientation of the primary item. Raises UnreadableImage, struct.error, IndexError."""
    inner = {box.kind: box for box in _boxes(data, meta.start + 4, meta.end)}
    if not inner.keys() >= {b"pitm", b"iprp"}:
        raise UnreadableImage(NO_SIZE)
    start = inner[b"pitm"].start
    [primary] = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)
    properties = list(_boxes(data, inner[b"iprp"].start, inner[b"iprp"].end))
    known = [box for each in properties if each.kind == b"ipco" for box in _boxes(data, each.start, each.end)]
    own = [
        known[number - 1]
        for each in properties
        if each.kind == b"ipma"
        for number in _associated(data, each, primary)
        if 1 <= number <= len(known)
    ]
    size, turns, mirrored = None, 0, 0
    for box in own:
        if box.kind == b"ispe" and size is None:
            size = struct.unpack_from(">II", data, box.start + 4)
        elif box.kind == b"irot":
            turns = data[box.start] & 3
        elif box.kind == b"imir":
            mirrored = 1 + (data[box.start] & 1)
        elif box.kind == b"clap":
            raise UnreadableImage("The AVIF image is shown in part only; such images are not read.")
    if size is None or not all(size):
        raise UnreadableImage(NO_SIZE)
    return (size[0], size[1]), ORIENTATIONS[turns][mirrored]


def _associated(data: bytes, box: Box, item: int) -> Iterator[int]:
    """The numbers of an item's properties. What lies behind the box is none of its own."""
    version, is_wide = data[box.start], data[box.start + 3] & 1
    [count] = struct.unpack_from(">I", data, box.start + 4)
    at = box.start + 8
    for _ in range(min(count, MAX_BOXES)):
        if at >= box.end:
            return
        [owner] = struct.unpack_from(">I" if version else ">H", data, at)
        at += 4 if version else 2
        numbers = data[at]
        at += 1
        for _ in range(min(numbers, box.end - at)):
            if owner == item:
                [number] = struct.unpack_from(">H" if is_wide else ">B", data, at)
                yield number & (0x7FFF if is_wide else 0x7F)
            at += 2 if is_wide else 1


def _without_exif(data: bytes, meta: Box) -> bytes:
    """Exif is no part of the picture: by the standard it does not even turn it."""
    return data[: meta.start] + EXIF_ITEM.sub(rb"\1free", data[meta.start : meta.end]) + data[meta.end :]
