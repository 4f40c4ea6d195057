"""What programs compare and classify: an image as a small square, and a hash of its looks. Only decoders call these
(`decoding`). Of a truncated file they show what there is; what is transparent is white."""

from typing import Final

from PIL import Image

from db.formats.images.opening import MAX_PIXELS, MAX_SIDE, read
from db.formats.images.shown import decoded, on_white, upright

HASH_SIDE: Final = 8  # 64 bits
HASH_DRAFT: Final = 64  # pixels a side from which the hash is computed


def square(data: bytes, size: int, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> bytes:
    """The upright image at `size` × `size`, whatever its proportions: RGB, three bytes a pixel, row by row."""
    content = read(data)
    with decoded(content, size, pixels, side) as image:
        small = on_white(image).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        return upright(small, content).tobytes()


def difference_hash(data: bytes, pixels: int = MAX_PIXELS, side: int = MAX_SIDE) -> int:
    """64 bits, signed: whether each of 8 × 8 brightnesses of the upright image is less than the one to its right. Those
    of images that look alike differ in few bits."""
    content = read(data)
    with decoded(content, HASH_DRAFT, pixels, side, "L") as image:
        gray = upright(on_white(image).convert("L"), content).resize(
            (HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BILINEAR
        )
    rows = gray.tobytes()
    found = 0
    for start in range(0, len(rows), HASH_SIDE + 1):
        for left in range(start, start + HASH_SIDE):
            found = found << 1 | (rows[left] < rows[left + 1])
    return int.from_bytes(found.to_bytes(HASH_SIDE), signed=True)
