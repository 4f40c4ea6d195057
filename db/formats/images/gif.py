"""GIF files: their blocks up to the end of the first frame, and of the file. Nothing is decoded here."""

import struct
from typing import Final

from db.formats.images.content import Content, UnreadableImage

HEADER: Final = 13
EXTENSION, FRAME, END = b"!", b",", b";"
CONTROL: Final = 0xF9  # the extension that says which colour of the next frame is transparent
MAX_BLOCKS: Final = 1_000_000


def read(data: bytes) -> Content:
    """`picture` has one frame. The canvas is as large as the first frame needs it, whatever the header says."""
    if len(data) < HEADER:
        raise UnreadableImage("The GIF image has no frame.")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = HEADER + _colours(flags)
    palette, control, picture = data[HEADER:at], b"", b""
    has_end = is_complete = False
    for _ in range(MAX_BLOCKS):
        start, kind = at, data[at : at + 1]
        if kind == EXTENSION:
            at, has_end = _behind_parts(data, at + 2)
            if data[start + 1 : start + 2] == bytes([CONTROL]) and not picture:
                control = data[start:at]
        elif kind == FRAME and len(data) >= at + 10:
            left, top, columns, rows, flags = struct.unpack_from("<HHHHB", data, at + 1)
            at, has_end = _behind_parts(data, at + 11 + _colours(flags))
            if not picture:
                width, height = max(width, left + columns), max(height, top + rows)
                is_complete = has_end and columns > 0 and rows > 0
                picture = control + data[start:at] + (b"" if has_end else b"\0") + END
        else:
            at += kind == END
            break
        if not has_end:
            break
    else:
        raise UnreadableImage(f"The image has more than {MAX_BLOCKS:,} blocks.")
    if not picture or not width or not height:
        raise UnreadableImage("The GIF image has no frame.")
    head = data[:6] + struct.pack("<HH", width, height) + data[10:HEADER]
    return Content("GIF", head + palette + picture, min(at, len(data)), complete=is_complete, size=(width, height))


def may_end_early(tail: bytes) -> bool:
    return not tail.rstrip(b"\0").endswith(END)


def _colours(flags: int) -> int:
    """The bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_parts(data: bytes, at: int) -> tuple[int, bool]:
    """The position behind a block's parts, the last of which is empty; and whether that one is there."""
    for _ in range(MAX_BLOCKS):
        if at >= len(data):
            return len(data), False
        length = data[at]
        at += 1 + length
        if not length:
            return at, True
    raise UnreadableImage(f"The image has more than {MAX_BLOCKS:,} blocks.")
