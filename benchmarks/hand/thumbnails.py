"""Thumbnails by hand: Pillow in two processes."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks.runner import Measure


@asynccontextmanager
async def decoders() -> AsyncIterator[ProcessPoolExecutor]:
    """Two processes that have Pillow loaded."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        await asyncio.gather(*(asyncio.wrap_future(processes.submit(time.sleep, 0.5)) for _ in range(2)))
        yield processes


async def measure(processes: ProcessPoolExecutor, images: Sequence[Path], folder: Path, size: int) -> Measure:
    """Thumbnails of images, as files in a folder."""
    started = time.perf_counter()
    made = (asyncio.wrap_future(processes.submit(make, path, folder / path.name, size)) for path in images)
    await asyncio.gather(*made)
    return Measure(len(images), time.perf_counter() - started)


def make(source: Path, target: Path, size: int) -> None:
    """An upright JPEG, its longest side at most `size`."""
    with Image.open(source, formats=("JPEG", "PNG", "BMP")) as image:
        image.draft("RGB", (size, size))
        image.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        ImageOps.exif_transpose(image).convert("RGB").save(target, "JPEG", quality=85)
