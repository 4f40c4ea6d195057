"""JPEG files like photographs, as many as needed, each with other bytes."""

import io
import struct
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image

GRAIN: Final = 40  # of the noise that is enlarged into the picture


@cache
def photo(width: int, height: int) -> bytes:
    """Smooth areas, edges and grain: about a quarter of a byte a pixel."""
    coarse = [Image.effect_noise((width // 16, height // 16), 120).resize((width, height)) for _ in range(3)]
    fine = Image.effect_noise((width, height), GRAIN)
    image = Image.merge("RGB", [Image.blend(each, fine, 0.15) for each in coarse])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def commented(jpeg: bytes, comment: str) -> bytes:
    """The same picture, in a file with other bytes."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack("!H", len(text) + 2) + text + jpeg[2:]


def write_small(folder: Path, count: int) -> None:
    """Different small pictures, a thousand in a directory; those that are there already stay."""
    for number in range(count):
        path = folder / f"part_{number // 1_000}" / f"image_{number}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            file = io.BytesIO()
            Image.frombytes("L", (32, 32), number.to_bytes(4) * 256).save(file, "JPEG")
            path.write_bytes(commented(file.getvalue(), path.name))


def link_small(folder: Path, count: int, kinds: int) -> list[bytes]:
    """So many files, as a dataset of `benchmarks/dataset.py` names them, which are links to a few different
    pictures of some kilobytes, which are returned. Neighbours show different ones, or a format could compress them."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [folder / f"{kind}.jpg" for kind in range(kinds)]
    whole = Image.open(io.BytesIO(photo(1_200, 900)))
    for kind, path in enumerate(pictures):
        if not path.exists():
            left, top = kind * 37 % 1_104, kind * 91 % 804
            whole.crop((left, top, left + 96, top + 96)).save(path, "JPEG", quality=85)
    if not (folder / "complete").exists():
        for number in range(1, count + 1):
            path = folder / f"part_{number % 1_000}" / f"image_{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                path.hardlink_to(pictures[(number // kinds + number) % kinds])
        (folder / "complete").touch()
    return [path.read_bytes() for path in pictures]


def write_photos(folder: Path, count: int, width: int, height: int) -> None:
    """As `write_small`, of large ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"photo_{number}.jpg"
        if not path.exists():
            path.write_bytes(commented(photo(width, height), path.name))
