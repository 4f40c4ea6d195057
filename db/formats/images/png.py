"""PNG files: their chunks up to the end of the image. Nothing is inflated here."""

import zlib
from typing import Final

from db.formats.images.content import Content, UnreadableImage, orientation_of

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
END: Final = b"\0\0\0\0IEND\xaeB`\x82"
NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS"})
MAX_CHUNKS: Final = 100_000


def read(data: bytes) -> Content:
    """Profiles, texts and other side chunks are left out, so whatever is wrong with them does no harm."""
    picture, at, orientation = [SIGNATURE], len(SIGNATURE), None
    has_pixels = False
    for _ in range(MAX_CHUNKS):
        kind = data[at + 4 : at + 8]
        if len(kind) < 4:
            return Content("PNG", b"".join(picture), len(data), complete=False, orientation=orientation or 1)
        if not kind.isalpha():
            return Content("PNG", b"".join(picture), at, complete=False, orientation=orientation or 1)
        if kind == b"IEND":
            end = min(len(data), at + len(END))
            return Content("PNG", b"".join([*picture, END]), end, orientation=orientation or 1)
        chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4], "big")]
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"eXIf" and not has_pixels and orientation is None and _is_intact(chunk):
            orientation = orientation_of(chunk[8:-4])  # browsers do not look behind the pixels
        if kind in NEEDED and (kind != b"tRNS" or _is_intact(chunk)):
            picture.append(chunk)
        at += 12 + int.from_bytes(chunk[:4], "big")
    raise UnreadableImage(f"The image has more than {MAX_CHUNKS:,} chunks.")


def _is_intact(chunk: bytes) -> bool:
    length = int.from_bytes(chunk[:4], "big")
    return len(chunk) == length + 12 and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
