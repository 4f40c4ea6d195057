"""The worker in this process: jobs reach it through the queue, are tidied up after, stopped, and given back."""

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api import worker
from api.settings import Settings
from db import events, jobs, purge
from db.engine import Database, driver_url
from db.sync import stages
from db.sync.inspection import inspect
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


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that takes its time, as over a slow network."""

    async def slowly(*arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0.1)
        return await inspect(*arguments, **named)

    monkeypatch.setattr("db.sync.stages.inspect", slowly)
    monkeypatch.setattr(stages, "BATCH", 5)


def fill(place: World, number: int) -> None:
    for index in range(number):
        place.put(f"{index}.png")


async def until(look: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> float:
    """Wait for it; the seconds that it took."""
    began = time.monotonic()
    while not await look():
        assert time.monotonic() - began < within, "it did not come to pass"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def has(place: World, job_id: int, **wanted: Any) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        job = await place.job(job_id)
        return all(job[name] == value for name, value in wanted.items())

    return look


def begun(place: World, job_id: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return bool((await place.job(job_id))["added"] > 0)

    return look


@pytest.mark.portable
async def test_does_a_job_that_was_asked_for(place: World, tmp_path: Path) -> None:
    fill(place, 30)
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(has(place, job_id, status="SUCCEEDED"))
    assert (await place.counts(job_id))["added"] == 30
    assert await place.rows("SELECT id FROM pgqueuer") == []


async def test_does_what_was_asked_for_before_it_came(place: World, tmp_path: Path) -> None:
    job_id = await place.start()
    async with working(place.database, tmp_path):
        await until(has(place, job_id, status="SUCCEEDED"))


@pytest.mark.usefixtures("slow")
async def test_stops_a_canceled_job_soon_and_keeps_what_was_merged(place: World, tmp_path: Path) -> None:
    fill(place, 300)
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(begun(place, job_id))
        async with place.database.writing() as session:
            await jobs.cancel(session, job_id)
        assert await until(has(place, job_id, status="CANCELED")) < 5
    job = await place.job(job_id)
    assert job["finished_at"] is not None
    assert 0 < len(await place.labels()) == job["added"] < 300
    assert await place.rows("SELECT 1 FROM sync_item UNION ALL SELECT 1 FROM sync_object") == []
    assert (await place.sync())["added"] == 300 - job["added"]


async def test_a_waiting_job_is_canceled_at_once(place: World) -> None:
    job_id = await place.start()
    async with place.database.writing() as session:
        await jobs.cancel(session, job_id)
    assert (await place.job(job_id))["status"] == "CANCELED"
    assert await place.rows("SELECT id FROM pgqueuer") == []


@pytest.mark.usefixtures("slow")
async def test_a_stopping_worker_gives_its_job_to_the_next(place: World, tmp_path: Path) -> None:
    fill(place, 200)
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(begun(place, job_id))
    job = await place.job(job_id)
    assert (job["status"], job["attempts"]) == ("QUEUED", 0)
    async with working(place.database, tmp_path):
        await until(has(place, job_id, status="SUCCEEDED"))
    assert (await place.counts(job_id))["added"] == 200


@pytest.mark.usefixtures("slow")
async def test_a_worker_that_lost_its_connection_begins_anew(place: World, tmp_path: Path) -> None:
    fill(place, 200)
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(begun(place, job_id))
        await place.do("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 2")
        await until(has(place, job_id, status="SUCCEEDED"), within=20)
    assert (await place.counts(job_id))["added"] == 200


async def test_a_job_whose_carrier_was_lost_is_done_all_the_same(place: World, tmp_path: Path) -> None:
    job_id = await place.start()
    await place.do("DELETE FROM pgqueuer")
    async with working(place.database, tmp_path):
        await until(has(place, job_id, status="SUCCEEDED"))


async def test_a_failure_is_told_in_the_job(place: World, tmp_path: Path) -> None:
    await place.do("UPDATE dataset SET input_path = $1", str(tmp_path / "nowhere"))
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(has(place, job_id, status="FAILED"))
    job = await place.job(job_id)
    assert job["error_code"] == "STORAGE_ERROR"
    assert str(tmp_path) not in job["error_message"]


async def test_a_path_that_is_no_longer_allowed_fails_the_job(place: World, tmp_path: Path) -> None:
    async with working(place.database, tmp_path / "below"):
        job_id = await place.start()
        await until(has(place, job_id, status="FAILED", error_code="INVALID_PATH"))


async def test_an_unforeseen_failure_is_told_by_a_reference(
    place: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("db.sync.run", fails)
    async with working(place.database, tmp_path):
        job_id = await place.start()
        await until(has(place, job_id, status="FAILED", error_code="INTERNAL_ERROR"))
    message = (await place.job(job_id))["error_message"]
    assert "secret" not in message
    assert message.split()[-1].rstrip(".") in caplog.text


@pytest.mark.usefixtures("slow")
async def test_progress_never_falls_and_is_pushed_twice_a_second(place: World, tmp_path: Path) -> None:
    fill(place, 200)
    job_id = await place.start()
    seen: list[tuple[float, int, float]] = []
    async with events.listening(place.database) as heard, working(place.database, tmp_path):
        async for step in heard.job_steps(job_id):
            job = await place.job(job_id)
            seen.append((time.monotonic(), step, job["progress"] or 0.0))
    times, steps, ratios = zip(*seen, strict=True)
    assert list(steps) == sorted(set(steps))
    assert list(ratios) == sorted(ratios)
    assert ratios[-1] == 1.0
    pauses = [later - earlier for earlier, later in itertools.pairwise(times[1:-1])]
    assert statistics.median(pauses) <= 0.5
    assert statistics.median(pauses) >= 0.2, "four times a second at most"
    assert max(pauses) < 1.5


async def test_a_deleted_dataset_is_purged(place: World, tmp_path: Path) -> None:
    fill(place, 20)
    place.put("1.txt", "cat")
    await place.sync()
    place.remove("2.png")
    await place.sync()
    sample = await place.sample("3.png")
    await place.delete_by_hand("3.png")
    await place.do(
        "INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)"
        " SELECT s.dataset_id, s.id, c.id, s.path, s.etag FROM source s, change c WHERE s.id = $1 AND c.revision = 1",
        sample["source_id"],
    )
    async with place.database.writing() as session:
        await purge.start(session, place.dataset_id, requested_by="ann")
    await place.do("UPDATE dataset SET deleted_at = now()")

    async def nothing_left() -> bool:
        tables = ("dataset", "sample", "sample_past", "source", "label", "annotation", "change", "job", "job_warning")
        rows = " UNION ALL ".join(f"SELECT 1 FROM {table}" for table in tables)
        return await place.rows(rows) == []

    async with working(place.database, tmp_path):
        await until(nothing_left)
    assert len(list(tmp_path.iterdir())) == 19


async def test_two_workers_share_the_jobs(database: Database, tmp_path: Path) -> None:
    places = [await world.local(database, tmp_path) for _ in range(6)]
    fill(places[0], 20)
    async with working(database, tmp_path), working(database, tmp_path):
        ids = [await place.start() for place in places]
        for place, job_id in zip(places, ids, strict=True):
            await until(has(place, job_id, status="SUCCEEDED"), within=20)
            assert (await place.counts(job_id))["added"] == 20


async def test_a_dead_workers_job_is_found_at_once(place: World) -> None:
    """Postgres frees a dead process's lock as soon as its connection is cut; no lease is waited for."""
    job_id = await place.start()
    connection = await asyncpg.connect(driver_url(place.database.url))
    async with jobs.alive(connection) as number:
        assert await jobs.claim(place.database, job_id, number) is not None
        assert await jobs.sweep(place.database) == []
        connection.terminate()
    await until(has_been_swept(place, job_id), within=2)


def has_been_swept(place: World, job_id: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await jobs.sweep(place.database) == [job_id]

    return look


async def test_a_silent_workers_job_is_taken_over_after_its_lease(place: World) -> None:
    """Where a network holds a dead connection open, the heartbeat tells."""
    job_id = await place.start()
    connection = await asyncpg.connect(driver_url(place.database.url))
    async with jobs.alive(connection) as number:
        assert await jobs.claim(place.database, job_id, number) is not None
        await place.do("UPDATE job SET heartbeat_at = now() - interval '16 s'")
        assert await jobs.sweep(place.database) == [job_id]
    await connection.close()
