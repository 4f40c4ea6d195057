"""Opening an image by Pillow: as what its first bytes say, without what is no part of it, and within the limits."""

import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image

from db.formats.images import avif, bmp, gif, jpeg, png, tiff, webp
from db.formats.images.content import Content, Format, UnreadableImage
from db.formats.images.formats import kind

MAX_PIXELS: Final = 64_000_000  # by default: of the largest camera sensors; 256 MB decoded
MAX_SIDE: Final = 16_384  # by default
MAX_SCANS: Final = 64  # of a progressive JPEG; usual ones have about 10
READERS: Final[dict[Format, Callable[[bytes], Content]]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "BMP": bmp.read,
    "WEBP": webp.read,
    "TIFF": tiff.read,
    "GIF": gif.read,
    "AVIF": avif.read,
}
PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
NO_IMAGE: Final = "The file cannot be read as an image."

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and refuses instead of warning


def read(data: bytes) -> Content:
    form = kind(data)
    if form is None:
        raise UnreadableImage(NO_IMAGE)
    return READERS[form](data)


def read_to_show(data: bytes | bytearray) -> Content:
    """As `read`, where nobody asks where the image ends in its file."""
    return jpeg.read(data, to_show=True) if kind(data) == "JPEG" else read(bytes(data))


def size_of(content: Content, pixels: int, side: int) -> tuple[int, int]:
    """Width and height as stored. Nothing is decoded, and of the newer formats nothing is given to Pillow."""
    if content.size is not None:
        _check_size(content.size, pixels, side)
        return content.size
    with opened(content, pixels, side) as image:
        return image.size


@contextmanager
def opened(content: Content, pixels: int, side: int) -> Iterator[Image.Image]:
    """Its pixels are not read yet. Where our reader and Pillow differ about the size, it is no image."""
    if content.size is not None:
        _check_size(content.size, pixels, side)
    try:
        _load_plugin(content.format)
        with _without_warnings(content), Image.open(io.BytesIO(content.picture), formats=[content.format]) as image:
            if content.size is None:
                _check_size(image.size, pixels, side)
            elif image.size != content.size:
                raise UnreadableImage(NO_IMAGE)
            if content.format == "JPEG":  # in one piece, instead of pieces of 64 KiB that are copied three times
                image.decodermaxblock = len(content.picture)
            yield image
    except UnreadableImage:
        raise
    except PILLOW_ERRORS as error:
        raise UnreadableImage(NO_IMAGE) from error


def refuse_scans(content: Content) -> None:
    if content.scans > MAX_SCANS:
        raise UnreadableImage(f"The image has more than {MAX_SCANS} scans and would take too long to decode.")


def _load_plugin(form: Format) -> None:
    """Pillow's modules for the newer formats take as long to be imported as Pillow itself, and only decoders need them.
    Without this it would import those of all formats that it knows."""
    match form:
        case "WEBP":
            importlib.import_module("PIL.WebPImagePlugin")
        case "TIFF":
            importlib.import_module("PIL.TiffImagePlugin")
        case "AVIF":
            from PIL import AvifImagePlugin

            AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a decoder has limited memory, which threads take as well


def _check_size(size: tuple[int, int], pixels: int, side: int) -> None:
    if size[0] * size[1] > pixels or max(size) > side:
        raise UnreadableImage(
            f"The image is too large: {size[0]} × {size[1]} pixels; "
            f"at most {pixels / 1e6:g} million, and {side:,} a side."
        )


@contextmanager
def _without_warnings(content: Content) -> Iterator[None]:
    """Pillow warns of odd directories of TIFF files, which it then reads. Its filters are those of the whole process,
    and only decoders open such files."""
    if content.format != "TIFF":
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
