"""Thumbnails, and renditions of images that browsers cannot show. Only decoders call these (`decoding`). Of a truncated
file they show what there is."""

import io
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, cast

from PIL import Image, ImageFile

from db.formats.images.content import Content, UnreadableImage
from db.formats.images.formats import MEDIA_TYPES, SHOWN_SIDE
from db.formats.images.opening import MAX_PIXELS, MAX_SIDE, opened, read, read_to_show, refuse_scans

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
TRANSPARENT: Final = ("LA", "RGBA")
WIDE: Final = ("I", "F")  # modes of more than eight bits; `I;16` and its kind begin alike
SOME: Final = 512  # pixels a side that are looked at for the range of numbers, where not all are finite


def thumbnail(data: bytes | bytearray, size: int, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> tuple[bytes, str]:
    """A small upright image, its longest side at most `size`, and its media type: PNG if it is transparent, else
    JPEG."""
    small, out = _upright(data, size, pixels, side), io.BytesIO()
    if small.mode in TRANSPARENT:
        small.convert("RGBA").save(out, "PNG", compress_level=6)
        return out.getvalue(), MEDIA_TYPES["PNG"]
    small.convert("RGB").save(out, "JPEG", quality=85, progressive=False)
    return out.getvalue(), MEDIA_TYPES["JPEG"]


def rendition(data: bytes | bytearray, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> bytes:
    """An upright JPEG, as large as the image, or as browsers show it. What is transparent is white."""
    out = io.BytesIO()
    shown = on_white(_upright(data, SHOWN_SIDE, pixels, side))
    shown = shown if shown.mode in ("L", "RGB") else shown.convert("RGB")
    shown.save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """Without transparency."""
    if image.mode not in TRANSPARENT:
        return image
    alpha, plain = image.getchannel("A"), image.convert("L" if image.mode == "LA" else "RGB")
    white = Image.new(plain.mode, plain.size, "white")
    white.paste(plain, mask=alpha)
    return white


def upright(image: Image.Image, content: Content) -> Image.Image:
    turn = UPRIGHT.get(content.orientation)
    return image if turn is None else image.transpose(turn)


def _upright(data: bytes | bytearray, size: int, pixels: int, side: int) -> Image.Image:
    """Its longest side at most `size`, with eight bits, and transparency as a channel."""
    with decoded(data, size, pixels, side) as (image, content):
        image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return upright(image, content)


@contextmanager
def decoded(
    data: bytes | bytearray, size: int, pixels: int, side: int, mode: str = "RGB"
) -> Iterator[tuple[Image.Image, Content]]:
    """As stored, with eight bits, and transparency as a channel. A JPEG is decoded in that mode, and at a half, a
    quarter or an eighth of its size where both sides are still at least `size`."""
    content = read_to_show(data)
    with ExitStack() as stack:
        try:
            image = stack.enter_context(_loaded(content, size, pixels, side, mode))
        except UnreadableImage:
            whole = read(bytes(data))  # a damaged scan, in which a decoder meets a marker, is shown up to there
            if whole.picture == content.picture:
                raise
            image = stack.enter_context(_loaded(whole, size, pixels, side, mode))
        yield image, content


@contextmanager
def _loaded(content: Content, size: int, pixels: int, side: int, mode: str) -> Iterator[Image.Image]:
    refuse_scans(content)
    with opened(content, pixels, side) as image, _allowing_truncation(content):
        image.draft(mode, (size, size))
        image.load()
        yield _simplified(image, content)


def _simplified(image: Image.Image, content: Content) -> Image.Image:
    """In a mode that can be resized well: eight bits, no palette, transparency as a channel."""
    if content.format == "TIFF" and image.mode.startswith(WIDE):
        return _stretched(image)
    if image.mode.startswith("I;16"):  # the upper eight of sixteen bits, so that the full range is kept
        gray = Image.frombytes("L", image.size, image.tobytes()[1::2])
        if "transparency" in image.info:
            gray.info["transparency"] = image.info["transparency"] >> 8
        image = gray
    if image.mode == "LAB":
        return _of_lab(image)
    if image.has_transparency_data:
        return image if image.mode in TRANSPARENT else image.convert("RGBA")
    plain = PLAIN.get(image.mode)
    return image if plain is None else image.convert(plain)


def _stretched(image: Image.Image) -> Image.Image:
    """From black, the least number, to white, the greatest: a TIFF file of 16 or 32 bits does not say which part of
    their range a camera or an instrument uses."""
    exact = image if image.mode == "F" else image.convert("F")
    low, high = cast(tuple[float, float], exact.getextrema())
    if not (math.isfinite(low) and math.isfinite(high)):
        few = exact.resize((min(SOME, exact.width), min(SOME, exact.height)), Image.Resampling.NEAREST)
        numbers = cast(tuple[float, ...], few.get_flattened_data())
        finite = [number for number in numbers if math.isfinite(number)] or [0.0]
        low, high = min(finite), max(finite)
    scale = 255 / (high - low) if high > low else 0.0
    return exact.point(lambda number: number * scale - low * scale).convert("L")


def _of_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # it takes a third of Pillow's own time, for images that are rare

    lab, screen = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(image, lab, screen, outputMode="RGB")
    assert found is not None
    return found


@contextmanager
def _allowing_truncation(content: Content) -> Iterator[None]:
    """Let Pillow decode what there is of a truncated file. Its setting is that of the whole process."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = before or not content.complete
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
