"""JPEG files: their segments up to the end of the first image. Phones put more behind it: a film, or a second image."""

import re
from typing import Final

from db.formats.images.content import Content, UnreadableImage, orientation_of

START, END = b"\xff\xd8", b"\xff\xd9"
SOS, EOI, APP1 = 0xDA, 0xD9, 0xE1
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of frames, without those of tables
SEQUENTIAL: Final = (b"\xc0", b"\xc1")
COMPONENTS_AT: Final = 5  # their number, in a frame
MARKER: Final = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")  # without stuffed and fill bytes, restarts, a second SOI
RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
GAP: Final = 64  # zeros that are no image data
MAX_SEGMENTS: Final = 10_000
# Where image data go on as if there were more, with a restart marker in between. See `continued`.
FILLER: Final = bytes.fromhex("5a c3 17 e8 2d 91 f4 6b 38 a7 0e d2 75 4c b9 13")


def read(data: bytes | bytearray, *, to_show: bool = False) -> Content:
    """If the file is truncated, `picture` gets an end marker: decoders fill in what is missing.

    `to_show`: all that follows the only scan of a file that ends with an end marker is taken for part of it. A decoder
    finds the end itself; looking for it here takes as long as a twentieth of decoding a thumbnail."""
    view = memoryview(data)  # whose parts are no copies
    picture: list[bytes | memoryview] = [START]
    at, scans, tiff, frames = len(START), 0, b"", b""
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at)
        if found is None:
            return _content(picture, len(data), tiff, scans, complete=False)
        marker, start = found[0][1], found.start()
        if marker == EOI:
            return _content(picture, start + len(END), tiff, scans, complete=True)
        at = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        if at > len(data):
            return _content(picture, len(data), tiff, scans, complete=False)
        body = bytes(data[start + 4 : at])
        if marker == APP1 and not tiff and not scans and body.startswith(b"Exif\0"):
            tiff = body[6:] or b"\0"  # the first one counts, whatever is in it
        if _is_needed(marker, body):
            picture.append(view[start:at])
        if marker in FRAMES:
            frames += bytes([marker]) + body[COMPONENTS_AT : COMPONENTS_AT + 1]
        if marker == SOS:
            scans, scan = scans + 1, at
            if to_show and scans == 1 and _is_only(frames, body) and data.endswith(END):
                picture.append(view[scan : -len(END)])
                return _content(picture, len(data), tiff, scans, complete=True)
            end = MARKER.search(data, scan)
            at = len(data) if end is None else end.start()
            picture.append(view[scan:at] if at < len(data) else _available(bytes(data[scan:])))
    raise UnreadableImage(f"The image has more than {MAX_SEGMENTS:,} segments.")


def continued(content: Content) -> bytes:
    """The picture of a truncated file, with other image data instead of the missing ones.

    It looks like `content.picture` if, and only if, nothing of the image is missing but its end marker.
    """
    restarts = RESTART.findall(content.picture, max(0, content.picture.rfind(bytes([0xFF, SOS]))))
    following = 0xD0 + (restarts[-1][1] - 0xD0 + 1) % 8 if restarts else 0xD0
    return content.picture[: -len(END)] + FILLER + bytes([0xFF, following]) + FILLER * 2 + END


def _content(picture: list[bytes | memoryview], end: int, tiff: bytes, scans: int, *, complete: bool) -> Content:
    return Content("JPEG", b"".join([*picture, END]), end, complete, orientation_of(tiff), scans)


def _is_only(frames: bytes, scan: bytes) -> bool:
    """Whether a decoder expects no other scan: the image is sequential, and all of its components are in this one."""
    return frames[:1] in SEQUENTIAL and frames[1:] == scan[:1]


def _is_needed(marker: int, body: bytes) -> bool:
    """Tables, frames and scans; and the two application segments that say how colours are stored."""
    match marker:
        case 0xE0:
            return body.startswith(b"JFIF\0")
        case 0xEE:
            return body.startswith(b"Adobe")
        case _:
            return 0xC0 <= marker <= 0xDF


def _available(scan: bytes) -> bytes:
    """A truncated scan, without half a marker, and without the zeros of an interrupted transfer."""
    without_zeros = scan.rstrip(b"\0")
    has_gap = len(scan) - len(without_zeros) >= GAP
    return (without_zeros if has_gap else scan).rstrip(b"\xff")
