"""The orientation in an image's Exif metadata, read as Chromium reads it (docs/decisions/0032)."""

import struct
from typing import Final

ORIENTATION: Final = 0x0112
SHORT: Final = 3
MAX_ENTRIES: Final = 1_000  # of the directory that are looked at
BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}


def orientation(tiff: bytes) -> int:
    """1 to 8; 1 if the data have none that browsers apply. `tiff` begins with its byte order.

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
