"""BMP files: how long they are, by their headers."""

import struct
from typing import Final

from db.formats.images.content import Content

HEADERS: Final = 34  # bytes from which the length follows
UNCOMPRESSED: Final = (0, 3, 6)


def read(data: bytes) -> Content:
    end = length(data) or len(data)
    return Content("BMP", data, min(end, len(data)), complete=end <= len(data))


def length(head: bytes) -> int:
    """The bytes that the image takes in its file, as its first bytes say; 0 where they do not."""
    head = head[:HEADERS].ljust(HEADERS, b"\0")
    said, offset, header = struct.unpack_from("<I4xII", head, 2)
    if header == 12:
        width, height, bits, compression = *struct.unpack_from("<HH2xH", head, 18), 0
    else:
        width, height, bits, compression = struct.unpack_from("<ii2xHI", head, 18)
    if compression not in UNCOMPRESSED:
        return int(said)
    row = (abs(width) * bits + 31) // 32 * 4
    return int(offset + row * abs(height))
