"""Images: what they are, read from their first bytes, and small upright pictures of them. The only user of Pillow.

Nothing here trusts a file. Only three formats are tried. What is no part of the picture, such as profiles, texts and
whatever follows the image, is left out before Pillow sees the file. Sizes are checked before anything is decoded, only
the first frame is ever decoded, and a JPEG that makes a decoder paint the same picture again and again is refused.
"""

import asyncio
import io
import re
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from PIL import Image, ImageFile

from db.formats.images import bmp, jpeg, png
from db.formats.images.content import Content, Format, UnreadableImage

__all__ = [
    "DEFAULT_LIMITS",
    "HEAD_SIZE",
    "MAX_PIXELS",
    "MEDIA_TYPES",
    "SUFFIXES",
    "SUFFIX_NAMES",
    "TAIL_SIZE",
    "Format",
    "ImageFacts",
    "ImageLimits",
    "UnreadableImage",
    "check",
    "facts",
    "is_complete",
    "kind",
    "may_be_truncated",
    "thumbnail",
]

SUFFIXES: Final[dict[str, Format]] = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".jpe": "JPEG", ".png": "PNG", ".bmp": "BMP"
}  # fmt: skip
SUFFIX_NAMES: Final = "`.jpg`, `.jpeg`, `.jfif`, `.jpe`, `.png` or `.bmp`"  # as messages name the suffixes
MEDIA_TYPES: Final[dict[Format, str]] = {"JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp"}
HEAD_SIZE: Final = 64 * 1024  # bytes that nearly always hold all the facts
TAIL_SIZE: Final = 4 * 1024  # bytes that nearly always hold the image's end
MAX_PIXELS: Final = 64_000_000  # unless told otherwise: what the largest camera sensors give; 256 MB decoded
MAX_SIDE: Final = 16_384
MAX_SCANS: Final = 64  # of a progressive JPEG; honest ones have about 10
FORMATS: Final = ("JPEG", "PNG", "BMP")
MAGIC: Final[dict[bytes, Format]] = {b"\xff\xd8\xff": "JPEG", png.SIGNATURE: "PNG", b"BM": "BMP"}
READERS: Final[dict[Format, Callable[[bytes], Content]]] = {"JPEG": jpeg.read, "PNG": png.read, "BMP": bmp.read}
STOWAWAYS: Final = re.compile(rb"PK\x03\x04|PK\x05\x06|(?i:%pdf-|<script|<html|<!doctype|<svg[\s/>]|<\?php)")
STOWED: Final = 65_557  # bytes from the end within which an archive's directory ends
BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, IndexError, struct.error, zlib.error)
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PLAIN: Final = {"1": "L", "P": "RGB"}
NO_IMAGE: Final = "The file cannot be read as a JPEG, PNG or BMP image."
CUT: Final = "The file ends before its image does; send it again."
ROWS: Final = 256  # of pixels hashed at once

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and refuses instead of warning


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Width and height as stored, in pixels; `orientation` is EXIF's 1–8, which says how to turn them upright.
    `damaged`: the file ends before its image does."""

    format: Format
    width: int
    height: int
    orientation: int
    damaged: bool = False


def kind(data: bytes) -> Format | None:
    """The format that a file's first bytes announce."""
    return next((known for magic, known in MAGIC.items() if data.startswith(magic)), None)


def facts(data: bytes, pixels: int = MAX_PIXELS) -> ImageFacts:
    """What an image is, from its first bytes. Nothing is decoded, so damage further on goes unnoticed."""
    content = _read(data)
    with _opened(content, pixels) as image:
        return ImageFacts(content.format, image.width, image.height, content.orientation)


def check(data: bytes, pixels: int = MAX_PIXELS) -> ImageFacts:
    """The facts of a whole image, decoded to its end: a cut one is refused. Only decoders call it (`decoding`)."""
    found, content = facts(data, pixels), _read(data)
    _refuse_scans(content)
    _refuse_stowaway(data[content.end :] if content.complete else content.picture + data[content.end :])
    if not is_complete(data, pixels):
        raise UnreadableImage(CUT)
    with _opened(content, pixels) as image:
        image.load()
    return found


def may_be_truncated(head: bytes, tail: bytes, size: int) -> bool:
    """Whether a file of `size` bytes may end before its image does, by its first and last bytes. An image with much
    behind it seems truncated as well: only all of the file tells (`is_complete`)."""
    match kind(head):
        case "JPEG":
            return jpeg.END not in tail
        case "PNG":
            return png.END not in tail
        case _:
            return bmp.length(head) > size


def is_complete(data: bytes, pixels: int = MAX_PIXELS) -> bool:
    """Whether all of the image is in its file; only an end marker may be missing. Decodes where no end is found.
    For decoders alone (`db/formats/decoding`)."""
    content = _read(data)
    if content.complete:
        return True
    try:
        _refuse_scans(content)
        return _is_decoded_whole(content, pixels)
    except UnreadableImage:
        return False


def _is_decoded_whole(content: Content, pixels: int) -> bool:
    """A JPEG's decoder does not tell that image data are missing. But then the image depends on what follows them."""
    if content.format == "JPEG":
        return content.scans > 0 and _digest(content.picture, pixels) == _digest(jpeg.continued(content), pixels)
    with _opened(content, pixels) as image:
        image.load()
    return True


def _digest(picture: bytes, pixels: int) -> bytes:
    """Of all pixels."""
    digest = blake2b()
    with _opened(Content("JPEG", picture, len(picture)), pixels) as image:
        image.load()
        for top in range(0, image.height, ROWS):
            digest.update(image.crop((0, top, image.width, min(top + ROWS, image.height))).tobytes())
    return digest.digest()


def _refuse_stowaway(behind: bytes) -> None:
    """Phones put a film, or zeros, behind an image. A page, a script or an archive is there to be taken for one: what
    reads those looks at the beginning and at the end. In between, megabytes of a film hold any four bytes by chance."""
    behind = behind.lstrip(b"\0")
    if STOWAWAYS.search(behind[:STOWED]) or STOWAWAYS.search(behind[-STOWED:]):
        raise UnreadableImage("Behind the image the file goes on with something else; send the image alone.")


def thumbnail(data: bytes, size: int, pixels: int = MAX_PIXELS) -> tuple[bytes, str]:
    """A small upright picture, its longest side at most `size`, and its media type: PNG where it is transparent, JPEG
    elsewhere. Of a file that ends early, what there is of its image. For decoders alone (`db/formats/decoding`)."""
    content = _read(data)
    _refuse_scans(content)
    with _opened(content, pixels) as image, _allowing_truncation(content):
        image.draft("RGB", (size, size))  # a JPEG is decoded at a half, a quarter, an eighth of its size
        image.load()
        small = _simplified(image)
        small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        turn = UPRIGHT.get(content.orientation)
        return _encoded(small if turn is None else small.transpose(turn))


def _simplified(image: Image.Image) -> Image.Image:
    """In a mode that can be made small well: eight bits, no palette, transparency as a channel."""
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    plain = PLAIN.get(image.mode)
    return image if plain is None else image.convert(plain)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The upper eight of sixteen bits of grey, so that the full range is kept."""
    upper = image.tobytes()[1::2]
    small = Image.frombytes("L", image.size, upper)
    if "transparency" in image.info:
        small.info["transparency"] = image.info["transparency"] >> 8
    return small


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    if image.mode in ("LA", "RGBA"):
        image.convert("RGBA").save(out, "PNG", compress_level=6)
        return out.getvalue(), MEDIA_TYPES["PNG"]
    image.convert("RGB").save(out, "JPEG", quality=85, progressive=False)
    return out.getvalue(), MEDIA_TYPES["JPEG"]


def _read(data: bytes) -> Content:
    form = kind(data)
    if form is None:
        raise UnreadableImage(NO_IMAGE)
    return READERS[form](data)


@contextmanager
def _opened(content: Content, pixels: int) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content.picture), formats=FORMATS) as image:
            if image.width * image.height > pixels or max(image.size) > MAX_SIDE:
                raise UnreadableImage(
                    f"The image is too large: {image.width} × {image.height} pixels; "
                    f"at most {pixels / 1e6:g} million, and {MAX_SIDE:,} a side."
                )
            yield image
    except UnreadableImage:
        raise
    except BROKEN as error:
        raise UnreadableImage(NO_IMAGE) from error


@contextmanager
def _allowing_truncation(content: Content) -> Iterator[None]:
    """Let Pillow decode as much as there is, if the file ends early. It knows this setting for the whole process."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = before or not content.complete
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _refuse_scans(content: Content) -> None:
    if content.scans > MAX_SCANS:
        raise UnreadableImage(f"The image has more than {MAX_SCANS} scans and would take too long to decode.")


async def is_complete_here(data: bytes) -> bool:
    """In a thread of this process: for images that somebody vouches for. A worker has decoders."""
    return await asyncio.to_thread(is_complete, data)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What the server's owner allows an image to have, and how it is decoded. `size` is in bytes, inclusive.
    `is_complete` tells whether all of an image is in its file; it raises UnreadableImage when that cannot be told."""

    size: int = 25 * 1024 * 1024
    pixels: int = MAX_PIXELS
    is_complete: Callable[[bytes], Awaitable[bool]] = is_complete_here


DEFAULT_LIMITS: Final = ImageLimits()
