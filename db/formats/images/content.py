"""What a reader of image files finds: the image without profiles, texts and other parts, and its orientation."""

import struct
from dataclasses import dataclass
from typing import Final, Literal

from db.errors import Invalid

Format = Literal["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "AVIF"]
ORIENTATION: Final = 0x0112
SHORT: Final = 3
MAX_ENTRIES: Final = 1_000  # of the directory that are looked at
UNKNOWN: Final = 2**63  # a position that is not in the bytes that were read
BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}


class UnreadableImage(Invalid):
    """The bytes are no image that can be read."""

    code = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Content:
    """`picture`: a file of the same format with only what a decoder needs: no metadata, nothing behind the image.
    `end`: the position in its file where the image, or what there is of it, ends. `complete`: its end was found.
    `size`: width and height as stored; None where only a decoder's library says them. `reach`: how long its file must
    be at least, where that is known from a part of it."""

    format: Format
    picture: bytes
    end: int
    complete: bool = True
    orientation: int = 1
    scans: int = 1
    size: tuple[int, int] | None = None
    reach: int = UNKNOWN


def orientation_of(tiff: bytes) -> int:
    """The orientation in Exif metadata, 1 to 8, read as Chromium reads it (docs/decisions/0032); 1 if they have none
    that browsers apply. `tiff` begins with its byte order.

    Only the first directory counts, and in it the first entry that is one SHORT from 1 to 8.
    """
    order = BYTE_ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    [start] = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    [count] = struct.unpack_from(f"{order}H", tiff, start)
    entry = struct.Struct(f"{order}HHIH2x")
    complete = min(count, MAX_ENTRIES, (len(tiff) - start - 2) // entry.size)
    for number in range(complete):
        tag, kind, values, value = entry.unpack_from(tiff, start + 2 + number * entry.size)
        if (tag, kind, values) == (ORIENTATION, SHORT, 1) and 1 <= value <= 8:
            return int(value)
    return 1
