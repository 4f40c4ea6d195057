"""BMP files: their length, by their headers."""

import struct
from typing import Final

from db.formats.images.content import Content

HEADERS: Final = 34  # bytes from which the length follows
UNCOMPRESSED: Final = (0, 3, 6)


def read(data: bytes) -> Content:
    end = length(data) or len(data)
    return Content("BMP", data, min(end, len(data)), complete=end <= len(data))


def length(head: bytes) -> int:
    """The bytes of the image, by its header; 0 if the header does not say."""
    head = head[:HEADERS].ljust(HEADERS, b"\0")
    length, offset, header = struct.unpack_from("<I4xII", head, 2)
    if header == 12:
        width, height, bits, compression = *struct.unpack_from("<HH2xH", head, 18), 0
    else:
        width, height, bits, compression = struct.unpack_from("<ii2xHI", head, 18)
    if compression not in UNCOMPRESSED:
        return int(length)
    row = (abs(width) * bits + 31) // 32 * 4
    return int(offset + row * abs(height))
