"""What programs compare and classify: an image at a size that a model wants, and a hash of its looks. Only decoders
call these (`decoding`). Of a truncated file they show what there is; what is transparent is white."""

from typing import Final

from PIL import Image

from db.formats.images.opening import MAX_PIXELS, MAX_SIDE
from db.formats.images.shown import decoded, on_white, upright

GRAY: Final = 114  # around an image, as models of the YOLO family are trained
TURNED: Final = 5  # orientations from this one on exchange width and height
HASH_SIDE: Final = 8  # 64 bits
HASH_DRAFT: Final = 64  # pixels a side from which the hash is computed


def resized(
    data: bytes | bytearray,
    width: int,
    height: int,
    pixels: int = MAX_PIXELS,
    side: int = MAX_SIDE,
    *,
    letterbox: bool = False,
) -> bytes:
    """The upright image at exactly that size: RGB, three bytes a pixel, row by row. With `letterbox` it keeps its
    proportions, in the middle of gray."""
    with decoded(data, max(width, height), pixels, side) as (image, content):
        turned = content.orientation >= TURNED
        size = fitting(*(image.size[::-1] if turned else image.size), width, height) if letterbox else (width, height)
        small = on_white(image).convert("RGB").resize(size[::-1] if turned else size, Image.Resampling.BILINEAR)
        small = upright(small, content)
    if size == (width, height):
        return small.tobytes()
    whole = Image.new("RGB", (width, height), (GRAY, GRAY, GRAY))
    whole.paste(small, ((width - size[0]) // 2, (height - size[1]) // 2))
    return whole.tobytes()


def fitting(image_width: int, image_height: int, width: int, height: int) -> tuple[int, int]:
    """The largest size of an image's proportions that fits."""
    scale = min(width / image_width, height / image_height)
    return max(1, round(image_width * scale)), max(1, round(image_height * scale))


def difference_hash(data: bytes | bytearray, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> int:
    """64 bits, signed: whether each of 8 × 8 brightnesses of the upright image is less than the one to its right. Those
    of images that look alike differ in few bits."""
    with decoded(data, HASH_DRAFT, pixels, side, "L") as (image, content):
        gray = upright(on_white(image).convert("L"), content).resize(
            (HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR
        )
    rows = gray.tobytes()
    found = 0
    for start in range(0, len(rows), HASH_SIDE + 1):
        for left in range(start, start + HASH_SIDE):
            found = found << 1 | (rows[left] < rows[left + 1])
    return int.from_bytes(found.to_bytes(HASH_SIDE), signed=True)
