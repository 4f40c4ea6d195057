"""WebP files: their chunks up to the end of the first frame. Nothing is decoded here."""

import struct
from typing import Final

from db.formats.images.content import Content, UnreadableImage

KEPT: Final = frozenset({b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF"})
PIXELS: Final = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
METADATA: Final = 0x2C  # flags of a profile, of Exif and of XMP, which are left out: Exif does not turn a WebP
MAX_CHUNKS: Final = 100_000


def read(data: bytes) -> Content:
    """Of an animation the first frame."""
    end = 8 + int.from_bytes(data[4:8], "little")
    kept: list[bytes] = []
    size, has_pixels, at = None, False, 12
    for _ in range(MAX_CHUNKS):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if len(data) < at + 8 or at >= end:
            break
        body = data[at + 8 : at + 8 + length]
        if kind == b"VP8X" and size is None:
            size = _canvas(body)
            body = bytes(flags & ~METADATA for flags in body[:1]) + body[1:]
        size = size or _size(kind, body)
        if kind in KEPT and not (has_pixels and kind in PIXELS):
            kept.append(data[at : at + 8] + body + bytes(length % 2))
        has_pixels = has_pixels or (kind in PIXELS and len(body) == length)
        at += 8 + length + length % 2
    else:
        raise UnreadableImage(f"The image has more than {MAX_CHUNKS:,} chunks.")
    if size is None or not all(size):
        raise UnreadableImage("The WebP image does not say its size.")
    content = b"WEBP" + b"".join(kept)
    picture = b"RIFF" + len(content).to_bytes(4, "little") + content
    return Content(
        "WEBP",
        picture,
        min(end, len(data)),
        complete=end <= len(data) and has_pixels,
        size=size,
        reach=end,
    )


def _canvas(body: bytes) -> tuple[int, int] | None:
    if len(body) < 10:
        return None
    return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1


def _size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    """As the first chunk of pixels says it."""
    if kind == b"VP8 " and len(body) >= 10:
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
