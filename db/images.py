"""Images: what they are, read from their first bytes, and small upright pictures of them. The only user of Pillow.

Nothing here trusts a file. Only three formats are tried, sizes are checked before anything is decoded, only the first
frame is ever decoded, and a JPEG that makes a decoder paint the same picture again and again is refused.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image, ImageOps

from db.errors import Invalid

Format = Literal["JPEG", "PNG", "BMP"]

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
MEDIA_TYPES: Final[dict[Format, str]] = {"JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp"}
HEAD: Final = 64 * 1024  # bytes that nearly always hold all the facts
MAX_PIXELS: Final = 64_000_000  # unless told otherwise: what the largest camera sensors give; 256 MB decoded
MAX_SIDE: Final = 16_384
MAX_SCANS: Final = 64  # of a progressive JPEG; honest ones have about 10
ORIENTATION: Final = 0x0112  # the EXIF tag
FORMATS: Final = ("JPEG", "PNG", "BMP")  # a phone's `.jpg` may open as MPO: a JPEG with another one behind it
MAGIC: Final[dict[bytes, Format]] = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP"}
STOWAWAYS: Final = (b"pk\x03\x04", b"pk\x05\x06", b"%pdf-", b"<script", b"<html", b"<!doctype", b"<svg", b"<?php")
BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, struct.error, zlib.error)

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and refuses instead of warning


class Unreadable(Invalid):
    """These bytes are no image that we can read."""

    code = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Caps:
    """What the server's owner allows an image to have. `size` in bytes, inclusive."""

    size: int = 25 * 1024 * 1024
    pixels: int = MAX_PIXELS


USUAL: Final = Caps()


@dataclass(frozen=True, slots=True)
class Facts:
    """Width and height as stored, in pixels; `orientation` is EXIF's 1–8, which says how to turn them upright."""

    format: Format
    width: int
    height: int
    orientation: int


def kind(data: bytes) -> Format | None:
    """The format that a file's first bytes announce."""
    return next((known for magic, known in MAGIC.items() if data.startswith(magic)), None)


def facts(data: bytes, pixels: int = MAX_PIXELS) -> Facts:
    """What an image is, from its first bytes. Nothing is decoded, so damage further on goes unnoticed."""
    with _opened(data, pixels) as image:
        return Facts(_format(image), image.width, image.height, _orientation(image))


def _orientation(image: Image.Image) -> int:
    """What EXIF says before the pixels. Pillow would decode a whole PNG to look behind them."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def check(data: bytes, pixels: int = MAX_PIXELS) -> Facts:
    """The facts of a whole image, decoded to its end: a cut one is refused. For decoders alone (`db/decoding`)."""
    found = facts(data, pixels)
    _refuse_scans(found.format, data)
    _refuse_stowaway(data[_end(found.format, data) :])
    with _opened(data, pixels) as image:
        image.load()
    return found


def _refuse_stowaway(behind: bytes) -> None:
    """Phones put a film, or zeros, behind an image. A page, a script or an archive is there to be taken for one."""
    text = behind.lower()
    if any(mark in text for mark in STOWAWAYS):
        raise Unreadable("Behind the image the file goes on with something else; send the image alone.")


def _end(form: Format, data: bytes) -> int:
    """Where an image ends in its file; at the latest where its file does."""
    match form:
        case "BMP":
            return int.from_bytes(data[2:6], "little") or len(data)
        case "PNG":
            at = 8
            while at < len(data) and data[at + 4 : at + 8] != b"IEND":
                at += 12 + int.from_bytes(data[at : at + 4], "big")
            return at + 12
        case "JPEG":
            at = 2
            while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":  # segments may hold small JPEGs
                at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            end = data.find(b"\xff\xd9", at)
            return len(data) if end < 0 else end + 2


def thumbnail(data: bytes, size: int, pixels: int = MAX_PIXELS) -> tuple[bytes, str]:
    """A small upright picture, its longest side at most `size`, and its media type: PNG where it is transparent, JPEG
    elsewhere. For decoders alone (`db/decoding`)."""
    with _opened(data, pixels) as image:
        _refuse_scans(_format(image), data)
        image.draft("RGB", (size, size))  # a JPEG is decoded at a half, a quarter, an eighth of its size
        image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        upright = ImageOps.exif_transpose(image)
        clear = upright.has_transparency_data
        return _encoded(_eight_bits(upright).convert("RGBA" if clear else "RGB"))


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    if image.mode == "RGBA":
        image.save(out, "PNG", compress_level=6)
        return out.getvalue(), MEDIA_TYPES["PNG"]
    image.save(out, "JPEG", quality=85, progressive=False)
    return out.getvalue(), MEDIA_TYPES["JPEG"]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey as eight; a plain conversion would clip all but the darkest to white."""
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda value: value / 256).convert("L")


@contextmanager
def _opened(data: bytes, pixels: int) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > pixels or max(image.size) > MAX_SIDE:
                raise Unreadable(
                    f"The image is too large: {image.width} × {image.height} pixels; "
                    f"at most {pixels / 1e6:g} million, and {MAX_SIDE:,} a side."
                )
            yield image
    except Unreadable:
        raise
    except BROKEN as error:
        raise Unreadable("The file cannot be read as a JPEG, PNG or BMP image.") from error


def _format(image: Image.Image) -> Format:
    match image.format:
        case "PNG" | "BMP" as known:
            return known
        case _:
            return "JPEG"


def _refuse_scans(kind: Format, data: bytes) -> None:
    if kind == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise Unreadable(f"The image has more than {MAX_SCANS} scans and would take too long to decode.")
