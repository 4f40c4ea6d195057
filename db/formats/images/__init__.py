"""Images: their facts, read from their first bytes, and thumbnails. The only user of Pillow.

No file is trusted. Only three formats are tried. What is no part of the image, such as profiles, texts and what follows
the image, is left out before Pillow gets the file. Sizes are checked before anything is decoded, only the first frame
is decoded, and a JPEG with so many scans that decoding takes long is refused.
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

SUFFIXES: Final[dict[str, Format]] = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".jpe": "JPEG", ".png": "PNG", ".bmp": "BMP"
}  # fmt: skip
SUFFIX_NAMES: Final = "`.jpg`, `.jpeg`, `.jfif`, `.jpe`, `.png` or `.bmp`"  # for messages
MEDIA_TYPES: Final[dict[Format, str]] = {"JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp"}
HEAD_SIZE: Final = 64 * 1024  # bytes that nearly always contain all facts
TAIL_SIZE: Final = 4 * 1024  # bytes that nearly always contain the image's end
MAX_PIXELS: Final = 64_000_000  # by default: of the largest camera sensors; 256 MB decoded
MAX_SIDE: Final = 16_384
MAX_SCANS: Final = 64  # of a progressive JPEG; usual ones have about 10
FORMATS: Final = ("JPEG", "PNG", "BMP")
MAGIC: Final[dict[bytes, Format]] = {b"\xff\xd8\xff": "JPEG", png.SIGNATURE: "PNG", b"BM": "BMP"}
READERS: Final[dict[Format, Callable[[bytes], Content]]] = {"JPEG": jpeg.read, "PNG": png.read, "BMP": bmp.read}
FOREIGN_DATA: Final = re.compile(rb"PK\x03\x04|PK\x05\x06|(?i:%pdf-|<script|<html|<!doctype|<svg[\s/>]|<\?php)")
FOREIGN_SIZE: Final = 65_557  # bytes from the end within which an archive's directory ends
PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    IndexError,
    struct.error,
    zlib.error,
)
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
CUT: Final = "The image file is truncated; send it again."
ROWS: Final = 256  # of pixels hashed at once

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and refuses instead of warning


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Width and height as stored, in pixels; `orientation` is that of EXIF, 1 to 8. `damaged`: the file ends before its
    image does."""

    format: Format
    width: int
    height: int
    orientation: int
    damaged: bool = False


def kind(data: bytes) -> Format | None:
    """The format, by a file's first bytes."""
    return next((known for magic, known in MAGIC.items() if data.startswith(magic)), None)


def facts(data: bytes, pixels: int = MAX_PIXELS) -> ImageFacts:
    """The facts of an image, from its first bytes. Nothing is decoded, so damage after them is not noticed."""
    content = _read(data)
    with _opened(content, pixels) as image:
        return ImageFacts(content.format, image.width, image.height, content.orientation)


def check(data: bytes, pixels: int = MAX_PIXELS) -> ImageFacts:
    """The facts of a whole image, decoded to its end: a truncated one is refused. Only decoders call it (`decoding`).

    Phones put a film, or zeros, behind an image. A web page, a script or an archive behind it could be taken for one:
    programs look for those at the beginning and at the end. In between, megabytes of a film contain any four bytes by
    chance."""
    content = _read(data)
    with _opened(content, pixels) as image:
        found = ImageFacts(content.format, image.width, image.height, content.orientation)
        _refuse_scans(content)
        behind = (data[content.end :] if content.complete else content.picture + data[content.end :]).lstrip(b"\0")
        if FOREIGN_DATA.search(behind[:FOREIGN_SIZE]) or FOREIGN_DATA.search(behind[-FOREIGN_SIZE:]):
            raise UnreadableImage("The file has other data after the image; send only the image.")
        if not _is_complete(content, pixels):
            raise UnreadableImage(CUT)
        image.load()
        return found


def may_be_truncated(head: bytes, tail: bytes, size: int) -> bool:
    """Whether a file of `size` bytes may end before its image does, by its first and last bytes. That is also so for an
    image with much behind it: only the whole file shows it (`is_complete`)."""
    match kind(head):
        case "JPEG":
            return jpeg.END not in tail
        case "PNG":
            return png.END not in tail
        case _:
            return bmp.length(head) > size


def is_complete(data: bytes, pixels: int = MAX_PIXELS) -> bool:
    """Whether all of the image is in its file; only an end marker may be missing. Decodes where no end is found.
    Only decoders call it (`decoding`).

    A JPEG decoder does not report missing image data. But if some are missing, the image depends on what follows."""
    return _is_complete(_read(data), pixels)


def _is_complete(content: Content, pixels: int) -> bool:
    if content.complete:
        return True
    try:
        _refuse_scans(content)
        if content.format == "JPEG":
            return content.scans > 0 and _digest(content.picture, pixels) == _digest(jpeg.continued(content), pixels)
        with _opened(content, pixels) as image:
            image.load()
    except UnreadableImage:
        return False
    return True


def _digest(picture: bytes, pixels: int) -> bytes:
    """Of all pixels."""
    digest = blake2b()
    with _opened(Content("JPEG", picture, len(picture)), pixels) as image:
        image.load()
        for top in range(0, image.height, ROWS):
            digest.update(image.crop((0, top, image.width, min(top + ROWS, image.height))).tobytes())
    return digest.digest()


def thumbnail(data: bytes, size: int, pixels: int = MAX_PIXELS) -> tuple[bytes, str]:
    """A small upright image, its longest side at most `size`, and its media type: PNG if it is transparent, else JPEG.
    Of a truncated file it shows what there is. Only decoders call it (`decoding`)."""
    content, out = _read(data), io.BytesIO()
    _refuse_scans(content)
    with _opened(content, pixels) as image, _allowing_truncation(content):
        image.draft("RGB", (size, size))  # a JPEG is decoded at a half, a quarter or an eighth of its size
        image.load()
        small = _simplified(image)
        small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        turn = UPRIGHT.get(content.orientation)
        small = small if turn is None else small.transpose(turn)
        if small.mode in ("LA", "RGBA"):
            small.convert("RGBA").save(out, "PNG", compress_level=6)
            return out.getvalue(), MEDIA_TYPES["PNG"]
        small.convert("RGB").save(out, "JPEG", quality=85, progressive=False)
        return out.getvalue(), MEDIA_TYPES["JPEG"]


def _simplified(image: Image.Image) -> Image.Image:
    """In a mode that can be resized well: eight bits, no palette, transparency as a channel."""
    if image.mode.startswith("I;16"):  # the upper eight of sixteen bits, so that the full range is kept
        gray = Image.frombytes("L", image.size, image.tobytes()[1::2])
        if "transparency" in image.info:
            gray.info["transparency"] = image.info["transparency"] >> 8
        image = gray
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    plain = PLAIN.get(image.mode)
    return image if plain is None else image.convert(plain)


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
    except PILLOW_ERRORS as error:
        raise UnreadableImage(NO_IMAGE) from error


@contextmanager
def _allowing_truncation(content: Content) -> Iterator[None]:
    """Let Pillow decode what there is of a truncated file. Its setting is that of the whole process."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = before or not content.complete
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _refuse_scans(content: Content) -> None:
    if content.scans > MAX_SCANS:
        raise UnreadableImage(f"The image has more than {MAX_SCANS} scans and would take too long to decode.")


async def check_here(data: bytes) -> ImageFacts:
    """In a thread of this process, for trusted images. Servers and workers have decoders."""
    return await asyncio.to_thread(check, data)


async def is_complete_here(data: bytes) -> bool:
    """In a thread of this process, for trusted images. A worker has decoders."""
    return await asyncio.to_thread(is_complete, data)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What the server's owner allows an image to have, and how it is decoded. `size` is in bytes, inclusive.
    `is_complete` says whether all of an image is in its file; it raises UnreadableImage when that is unknown. `check`
    decodes a whole image to its end, as `check` here does."""

    size: int = 25 * 1024 * 1024
    pixels: int = MAX_PIXELS
    is_complete: Callable[[bytes], Awaitable[bool]] = is_complete_here
    check: Callable[[bytes], Awaitable[ImageFacts]] = check_here


DEFAULT_LIMITS: Final = ImageLimits()
