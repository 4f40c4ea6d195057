"""What of a TIFF file is part of an image: the pixels and the metadata of all pages, wherever they are in the file."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

from db.formats.images.content import UnreadableImage
from db.formats.images.tiff import HEIGHT, LAYOUTS, MAX_ENTRIES, PARTS, WIDTH, Entries, Layout, directory, numbers

BITS, COMPRESSION, SAMPLES, ROWS, PLANES, SUB_IMAGES = 258, 259, 277, 278, 284, 330
TILE: Final = (322, 323)  # width and height
TILES: Final = 324
SEPARATE: Final = 2  # planes
UNCOMPRESSED, OLD_JPEG = 1, 6  # the latter may say in several ways where its parts are
POSITIONS: Final = {13: 4, 18: 16}  # types of positions of directories, and those of numbers of the same size
DETAILS: Final = (34_665, 34_853)  # Exif and GPS have directories of their own, where each entry is metadata
METADATA: Final = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 333, 337, 700}  # texts, and XMP
    | {33_432, 33_723, 34_377, 34_675, 37_724}  # copyright, IPTC, Photoshop, a profile, Photoshop's layers
    | {33_550, 33_922, 34_264, 34_735, 34_736, 34_737, 42_112, 42_113, 50_838, 50_839}  # GeoTIFF, GDAL, ImageJ
)
SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
BUDGET: Final = 1_000_000  # entries and parts of all pages that are looked at


def unclaimed(data: bytes) -> bytes:
    """All that is in none of the file's images, in its order. Of pixels that are not compressed, bytes that no pixel
    needs are none of the image's, whatever it says of their number."""
    at, gaps = 0, []
    for start, end in sorted(_Claims(data, LAYOUTS[data[:4]]).found()):
        if start > at:
            gaps.append(data[at:start])
        at = max(at, end)
    return b"\0".join([*gaps, data[at:]])


@dataclass(slots=True)
class _Claims:
    data: bytes
    layout: Layout
    budget: int = BUDGET
    seen: set[int] = field(default_factory=set)

    def found(self) -> Iterator[tuple[int, int]]:
        """Beginnings and ends of what is part of an image."""
        waiting = [self._position(self.layout.first)]
        while waiting:
            start = waiting.pop()
            entries, end = self._directory(start)
            yield start, end
            waiting += self._all(entries, SUB_IMAGES)
            if following := self._position(end) if entries else 0:
                waiting.append(following)
            yield from self._pixels(entries)
            yield from self._values(entries, METADATA)
            for tag in DETAILS:
                for start in self._all(entries, tag):
                    details, end = self._directory(start)
                    yield start, end
                    yield from self._values(details, details)

    def _position(self, at: int) -> int:
        """The one that is written there; 0 is none."""
        try:
            return int(struct.unpack_from(self.layout.order + self.layout.position, self.data, at)[0])
        except struct.error:
            return 0

    def _directory(self, start: int) -> tuple[Entries, int]:
        """The entries of one that was not met yet, and where they end."""
        if not 0 < start < len(self.data) or start in self.seen or self.budget <= 0:
            return {}, start
        self.seen.add(start)
        try:
            entries, end = directory(self.data, self.layout, start)
        except (struct.error, UnreadableImage):
            self.budget -= MAX_ENTRIES  # as many were looked at, at most
            return {}, start
        self.budget -= 1 + len(entries)
        return entries, end

    def _all(self, entries: Entries, tag: int) -> tuple[int, ...]:
        """The numbers of an entry, as far as they can be read."""
        kind, count, value = entries.get(tag, (0, 0, b""))
        if not 0 < count <= self.budget:
            return ()
        self.budget -= count
        try:
            return numbers(self.data, self.layout, (POSITIONS.get(kind, kind), count, value))
        except (struct.error, KeyError, OverflowError, UnreadableImage):
            return ()

    def _first(self, entries: Entries, tag: int, default: int) -> int:
        return next(iter(self._all(entries, tag)), 0) or default

    def _values(self, entries: Entries, tags: Collection[int]) -> Iterator[tuple[int, int]]:
        for tag in entries.keys() & tags:
            kind, count, value = entries[tag]
            size = count * SIZES.get(kind, 0)
            if size > len(value):
                [start] = struct.unpack(self.layout.order + self.layout.position, value)
                yield start, start + size

    def _pixels(self, entries: Entries) -> Iterator[tuple[int, int]]:
        compression = self._first(entries, COMPRESSION, UNCOMPRESSED)
        pairs = [pair for pair in PARTS if pair[0] in entries and pair[1] in entries]
        for pair in pairs if compression == OLD_JPEG else pairs[:1]:
            starts, lengths = (self._all(entries, tag) for tag in pair)
            sizes: Iterator[int] = repeat(len(self.data))
            if compression == UNCOMPRESSED:
                sizes = self._tiles(entries) if pair[0] == TILES else self._strips(entries)
            for start, length, size in zip(starts, lengths, sizes, strict=False):
                yield start, start + min(length, size)

    def _strips(self, entries: Entries) -> Iterator[int]:
        """The bytes of each that is not compressed. The last one is as high as the image needs it."""
        row, planes = self._row(entries, self._first(entries, WIDTH, 0))
        height = self._first(entries, HEIGHT, 0)
        rows = min(self._first(entries, ROWS, height), height)
        for _ in range(planes if height else 0):
            for top in range(0, height, max(rows, 1)):
                yield row * min(rows, height - top)

    def _tiles(self, entries: Entries) -> Iterator[int]:
        """The bytes of each that is not compressed."""
        width, height = (self._first(entries, tag, 1) for tag in TILE)
        row, planes = self._row(entries, width)
        across, down = -(-self._first(entries, WIDTH, 0) // width), -(-self._first(entries, HEIGHT, 0) // height)
        return repeat(row * height, min(across * down * planes, BUDGET))

    def _row(self, entries: Entries, width: int) -> tuple[int, int]:
        """The bytes of a row of pixels in a plane, and how many planes there are."""
        bits, samples = max(self._all(entries, BITS), default=1), self._first(entries, SAMPLES, 1)
        planes = samples if self._first(entries, PLANES, 1) == SEPARATE else 1
        return -(-width * bits * samples // planes // 8), planes
