"""Image files by hand: their facts, writing them so that they last, and the samples that they become."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Final

import asyncpg
from PIL import Image

from benchmarks.hand import SQL
from db.postgres import sql

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FORMATS: Final = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "bmp": "BMP"}
ORIENTATION: Final = 0x0112  # of EXIF
MAX_PIXELS: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    format: str
    width: int
    height: int
    orientation: int


@dataclass(frozen=True, slots=True)
class File:
    """What a source is made from."""

    path: str
    hash: str
    size: int
    modified_at: datetime
    facts: Facts


def format_of(path: str) -> str | None:
    """That its suffix announces."""
    return FORMATS.get(path.rpartition(".")[2].lower())


def facts(path: str, data: bytes) -> Facts:
    """Nothing is decoded. Raises ValueError for what is no image of its suffix."""
    with Image.open(io.BytesIO(data), formats=tuple(FORMATS.values())) as image:
        return _facts(path, image)


def decoded(path: str, data: bytes) -> Facts:
    """As `facts`, of an image that is decoded to its end. Raises OSError for a damaged one."""
    with Image.open(io.BytesIO(data), formats=tuple(FORMATS.values())) as image:
        found = _facts(path, image)
        image.load()
    return found


def _facts(path: str, image: Image.Image) -> Facts:
    announced = format_of(path)
    if announced is None or image.format != announced or image.width * image.height > MAX_PIXELS:
        raise ValueError(path)
    return Facts(announced, image.width, image.height, image.getexif().get(ORIENTATION, 1))


def digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def modified_at(stat: os.stat_result) -> datetime:
    return EPOCH + timedelta(microseconds=stat.st_mtime_ns // 1000)


def write(path: Path, data: bytes) -> os.stat_result:
    """Never over another file; it is all there, or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path.stat()


async def add_samples(pool: asyncpg.Pool, dataset: int, files: Sequence[File]) -> int:
    """How many became samples; one whose path is taken is left out."""
    values = {
        "dataset": dataset,
        "paths": [file.path for file in files],
        "hashes": [file.hash for file in files],
        "sizes": [file.size for file in files],
        "times": [file.modified_at for file in files],
        "formats": [file.facts.format for file in files],
        "widths": [file.facts.width for file in files],
        "heights": [file.facts.height for file in files],
        "orientations": [file.facts.orientation for file in files],
    }
    statement, arguments = sql.positional(SQL.add_samples, values)
    return len(await pool.fetch(statement, *arguments))
