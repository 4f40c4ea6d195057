"""A sync by hand: a directory is listed and compared with what is known; what is new is read and becomes samples."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
import orjson
from starlette.requests import Request

from benchmarks.hand import SQL, files
from benchmarks.hand.files import File
from db.postgres import sql

BATCH: Final = 10_000  # files in a statement
READERS: Final = 4  # threads


async def sync(pool: asyncpg.Pool, request: Request) -> str:
    """Of `dataset` with the files below `folder`. Files that changed or vanished are no part of the benchmark."""
    values = orjson.loads(await request.body())
    root = Path(values["folder"])
    listed = await asyncio.to_thread(lambda: dict(_listed(os.fspath(root), "")))
    added = 0
    statement, arguments = sql.positional(SQL.known_files, values)
    known = {row["path"]: (row["size"], row["modified_at"]) for row in await pool.fetch(statement, *arguments)}
    new = [path for path, stamp in listed.items() if known.get(path) != stamp]
    for start in range(0, len(new), BATCH):
        parts = [new[start : start + BATCH][number::READERS] for number in range(READERS)]
        read = await asyncio.gather(*(asyncio.to_thread(_read, root, some) for some in parts))
        added += await files.add_samples(pool, values["dataset"], [file for some in read for file in some])
    return f'{{"data":{{"sync":{added}}}}}'


def _listed(folder: str, prefix: str) -> Iterator[tuple[str, tuple[int, datetime]]]:
    """Size and time of every image, by its path."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _listed(entry.path, f"{prefix}{entry.name}/")
            elif files.format_of(entry.name):
                stat = entry.stat(follow_symlinks=False)
                yield f"{prefix}{entry.name}", (stat.st_size, files.modified_at(stat))


def _read(root: Path, paths: Sequence[str]) -> list[File]:
    """Their hashes and facts."""
    read = []
    for path in paths:
        with (root / path).open("rb") as file:
            data, stat = file.read(), os.fstat(file.fileno())
        read.append(File(path, files.digest(data), stat.st_size, files.modified_at(stat), files.facts(path, data)))
    return read
