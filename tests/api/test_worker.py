"""The worker in this process: jobs reach it through the queue, are tidied up after, stopped, and given back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from api import worker
from api.settings import Settings
from db.engine import Database
from tests.db import world
from tests.db.world import World


@asynccontextmanager
async def working(database: Database, root: Path, **settings: Any) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(database, Settings(allowed_roots=(root,), **settings), stop=stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


@pytest.fixture
async def place(database: Database, tmp_path: Path) -> World:
    return await world.local(database, tmp_path)


async def until(look: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> float:
    began = time.monotonic()
    while not await look():
        assert time.monotonic() - began < within, "it did not come to pass"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def ended(place: World, job_id: int, status: str = "SUCCEEDED") -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return bool((await place.job(job_id))["status"] == status)

    return look


async def test_does_a_job_that_was_asked_for(place: World, tmp_path: Path) -> None:
    for number in range(30):
        place.put(f"{number}.png")
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(ended(place, job_id))
    assert (await place.counts(job_id))["added"] == 30
    assert await place.rows("SELECT id FROM pgqueuer") == []
