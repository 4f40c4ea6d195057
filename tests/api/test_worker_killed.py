"""Real processes, really killed: what `kill -9` and a stopped clock do to a sync of thousands of files."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from db import counts
from db.engine import Database
from tests.api.test_worker import begun, has, until
from tests.conftest import ROOT
from tests.db import world
from tests.db.world import World, picture

FILES = 4_000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    plain = picture("red")
    for index in range(FILES):
        folder = root / str(index // 100)
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.png").write_bytes(plain + index.to_bytes(4, "big"))
        if index % 4:
            (folder / f"{index}.txt").write_text(f"label-{index % 7}\n")
    (root / "bad.jpg").write_bytes(b"not an image")
    return root


@pytest.fixture
async def place(database: Database, images: Path) -> World:
    return await world.local(database, images)


@asynccontextmanager
async def worker(place: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m api worker`, killed at the end if it still lives."""
    environment = os.environ | {"DATABASE_URL": place.database.url, "LABELGRAPH_ALLOW_ROOT": str(place.root)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", "worker", cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def final_state(place: World) -> tuple[object, ...]:
    async with place.database.reading() as connection:
        wrong = await counts.check(connection, place.dataset_id)
    [job] = await place.rows("SELECT id FROM job WHERE dataset_id = $1 ORDER BY id DESC LIMIT 1", place.dataset_id)
    return await place.labels(), await place.counts(job["id"]), await place.warnings(job["id"]), wrong


async def clean_run(place: World) -> tuple[object, ...]:
    other = await world.local(place.database, place.root or Path())
    await other.sync()
    return await final_state(other)


async def test_a_sync_killed_again_and_again_ends_as_a_clean_one(place: World) -> None:
    clean = await clean_run(place)
    job_id = await place.start()
    for _ in range(2):
        async with worker(place) as process:
            await until(_gets_on(place, job_id, (await place.job(job_id))["added"]), within=30)
            process.kill()
    async with worker(place):
        await until(has(place, job_id, status="SUCCEEDED"), within=30)
    assert await final_state(place) == clean
    assert len(await place.labels()) == FILES


def _gets_on(place: World, job_id: int, done: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        job = await place.job(job_id)
        return bool(job["added"] > done or job["status"] == "SUCCEEDED")

    return look


async def test_a_living_worker_takes_over_within_seconds(place: World) -> None:
    async with worker(place) as first:
        job_id = await place.start()
        await until(begun(place, job_id), within=30)
        async with worker(place) as second:
            first.kill()
            await first.wait()
            assert (await place.job(job_id))["status"] == "RUNNING", "the sync was over before its worker was killed"
            await until(has(place, job_id, status="SUCCEEDED"), within=20)
            assert second.returncode is None
    assert (await place.counts(job_id))["added"] == FILES


async def test_a_worker_that_was_stopped_past_its_lease_writes_nothing_more(place: World) -> None:
    clean = await clean_run(place)
    async with worker(place) as first:
        job_id = await place.start()
        await until(begun(place, job_id), within=30)
        first.send_signal(signal.SIGSTOP)
        await place.do("UPDATE job SET heartbeat_at = now() - interval '16 s' WHERE id = $1", job_id)
        async with worker(place):
            await until(has(place, job_id, status="SUCCEEDED"), within=30)
            first.send_signal(signal.SIGCONT)
            before = await place.rows("SELECT xmin, id FROM sample ORDER BY id")
            await asyncio.sleep(2)
            assert await place.rows("SELECT xmin, id FROM sample ORDER BY id") == before
    assert await final_state(place) == clean


async def test_a_worker_told_to_stop_gives_its_job_back(place: World) -> None:
    async with worker(place) as process:
        job_id = await place.start()
        await until(begun(place, job_id), within=30)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    job = await place.job(job_id)
    assert (job["status"], job["worker"]) in (("QUEUED", None), ("SUCCEEDED", None))
