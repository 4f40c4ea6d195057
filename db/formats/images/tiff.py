"""TIFF files, BigTIFF too: the first directory, which is the first page. Nothing is decoded here."""

import struct
from typing import Any, Final, NamedTuple

from db.formats.images.content import UNKNOWN, Content, UnreadableImage

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
PARTS: Final = ((273, 279), (324, 325), (513, 514))  # positions and lengths: of strips, of tiles, of a whole JPEG
# What a decoder needs. What is left out, such as profiles, texts and other directories, does no harm.
NEEDED: Final = frozenset(
    {WIDTH, HEIGHT, 254, 258, 259, 262, 266, 277, 278, 284, 292, 293, 317, 320, 322, 323, 332, 338, 339, 347}
    | {512, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, *(tag for pair in PARTS for tag in pair)}
)
NUMBERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
MAX_ENTRIES: Final = 1_000
MAX_PARTS: Final = 1_000_000


class Layout(NamedTuple):
    """How large numbers are. `first`: where the position of the first directory is."""

    order: str
    position: str
    number: str
    first: int

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, count, and value or position."""
        return struct.Struct(f"{self.order}HH{self.position}{struct.calcsize(self.position)}s")


LAYOUTS: Final = {
    b"II*\0": Layout("<", "I", "H", 4),
    b"MM\0*": Layout(">", "I", "H", 4),
    b"II+\0": Layout("<", "Q", "Q", 8),
    b"MM\0+": Layout(">", "Q", "Q", 8),
}
Entries = dict[int, tuple[int, int, bytes]]


def read(data: bytes) -> Content:
    """Raises UnreadableImage also where the directory is behind these bytes: it may be anywhere."""
    layout = LAYOUTS[data[:4]]
    try:
        entries, _ = directory(data, layout, *struct.unpack_from(layout.order + layout.position, data, layout.first))
        width, height = (numbers(data, layout, entries[tag])[0] for tag in (WIDTH, HEIGHT))
    except (struct.error, KeyError, IndexError, OverflowError):
        raise UnreadableImage("The file has no directory of a TIFF image.") from None
    if not width or not height:
        raise UnreadableImage("The TIFF image has no pixels.")
    reach = _reach(data, layout, entries)
    end = 0 if reach == UNKNOWN else reach
    return Content(
        "TIFF",
        _rewritten(data, layout, entries, end),
        min(len(data), end),
        complete=reach <= len(data),
        orientation=_orientation(data, layout, entries),
        size=(width, height),
        reach=reach,
    )


def directory_behind(head: bytes) -> int | None:
    """The position of the directory, if it is behind a file's first bytes, as libtiff writes it."""
    layout = LAYOUTS[head[:4]]
    try:
        [start] = struct.unpack_from(layout.order + layout.position, head, layout.first)
    except struct.error:
        return None
    return int(start) if start >= len(head) else None


def with_directory(head: bytes, directory: bytes) -> bytes:
    """A file of the directory alone, which says all facts of the image whose first bytes these are."""
    layout = LAYOUTS[head[:4]]
    start = layout.first + struct.calcsize(layout.position)
    return head[: layout.first] + struct.pack(layout.order + layout.position, start) + directory


def directory(data: bytes, layout: Layout, start: int) -> tuple[Entries, int]:
    """The first entry of each tag; and where the position of the next directory is."""
    [count] = struct.unpack_from(layout.order + layout.number, data, start)
    if count > MAX_ENTRIES:
        raise UnreadableImage(f"The image has a directory of more than {MAX_ENTRIES:,} entries.")
    at = start + struct.calcsize(layout.order + layout.number)
    entries: Entries = {}
    for number in range(count):
        tag, kind, values, value = layout.entry.unpack_from(data, at + number * layout.entry.size)
        entries.setdefault(tag, (kind, values, value))
    return entries, at + count * layout.entry.size


def numbers(data: bytes, layout: Layout, entry: tuple[int, int, bytes]) -> tuple[int, ...]:
    """Raises KeyError, struct.error, OverflowError: these are no numbers, or they are not in these bytes."""
    kind, count, value = entry
    if count > MAX_PARTS:
        raise UnreadableImage(f"The image has more than {MAX_PARTS:,} parts.")
    form = struct.Struct(f"{layout.order}{count}{NUMBERS[kind]}")
    if form.size <= len(value):
        return form.unpack_from(value)
    return form.unpack_from(data, *struct.unpack(layout.order + layout.position, value))


def _reach(data: bytes, layout: Layout, entries: Entries) -> int:
    """The position behind the last part of the pixels."""
    found = [pair for pair in PARTS if pair[0] in entries and pair[1] in entries]
    if not found:
        return UNKNOWN
    try:
        starts, lengths = (numbers(data, layout, entries[tag]) for tag in found[0])
    except (struct.error, KeyError, OverflowError):
        return UNKNOWN
    return max(map(sum, zip(starts, lengths, strict=False)), default=UNKNOWN)


def _orientation(data: bytes, layout: Layout, entries: Entries) -> int:
    try:
        [value] = numbers(data, layout, entries[ORIENTATION])
    except (KeyError, ValueError, struct.error, OverflowError):
        return 1
    return value if 1 <= value <= 8 else 1


def _rewritten(data: bytes, layout: Layout, entries: Entries, reach: int) -> bytes:
    """The same file with another directory behind all else: with what is needed, and no next one. What is missing of
    the pixels is zero, as far as that is not most of them."""
    start = max(len(data), min(reach, 2 * len(data)))
    start += start % 2
    kept = [layout.entry.pack(tag, *entry) for tag, entry in sorted(entries.items()) if tag in NEEDED]
    numbers = layout.order + layout.position
    parts: list[Any] = [data[: layout.first], struct.pack(numbers, start)]
    parts += [data[layout.first + struct.calcsize(numbers) :], bytes(start - len(data))]
    parts += [struct.pack(layout.order + layout.number, len(kept)), *kept, struct.pack(numbers, 0)]
    return b"".join(parts)
