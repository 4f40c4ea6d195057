"""`uploadSamples` by hand: every file is decoded to its end and written to disk before it becomes a sample."""

import asyncio
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

import asyncpg
from starlette.datastructures import UploadFile
from starlette.requests import Request

from benchmarks.hand import files
from benchmarks.hand.files import File

MAX_BYTES: Final = 5 * 1024 * 1024
NAME: Final = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}\.(?:jpe?g|png|bmp)", re.IGNORECASE)


@cache
def decoders() -> ProcessPoolExecutor:
    """Images are decoded by other processes, as they block and may crash."""
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


async def upload(pool: asyncpg.Pool, request: Request) -> str:
    """A form with the fields `dataset` and `folder`, and files."""
    async with request.form() as form:
        dataset, folder = int(str(form["dataset"])), Path(str(form["folder"]))
        stored = await asyncio.gather(
            *(_store(folder, each) for _, each in form.multi_items() if isinstance(each, UploadFile))
        )
    count = await files.add_samples(pool, dataset, stored)
    return f'{{"data":{{"uploadSamples":{count}}}}}'


async def _store(folder: Path, sent: UploadFile) -> File:
    name, data = sent.filename or "", await sent.read()
    if not NAME.fullmatch(name) or not 0 < len(data) <= MAX_BYTES:
        raise ValueError(name)
    facts = await asyncio.get_running_loop().run_in_executor(decoders(), files.decoded, name, data)
    stat = await asyncio.to_thread(files.write, folder / name, data)
    return File(name, files.digest(data), len(data), files.modified_at(stat), facts)
