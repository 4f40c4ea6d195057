"""The worker in this process: it claims jobs, stops them, and returns them to the queue."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api import worker
from api.settings import Settings
from db import jobs
from db.ingest.sync import stages
from db.ingest.sync.entries import inspect
from db.jobs import events, runner
from db.postgres.engine import Database, driver_url
from tests.db import dataset_fixture
from tests.db.dataset_fixture import WORKER, DatasetFixture
from tests.db.test_sync_together import is_swept
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT, wait_until


@asynccontextmanager
async def working(database: Database, root: Path, **settings: Any) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(
        worker.run(database, Settings(allowed_roots=(root,), timeouts=SERVER_TIMEOUTS, **settings), stop=stop)
    )
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, TIMEOUT)


@pytest.fixture
async def dataset(database: Database, tmp_path: Path) -> DatasetFixture:
    return await dataset_fixture.local(database, tmp_path)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Syncs read three batches of 5 images, and the next once this is set."""
    opened, batches = asyncio.Event(), itertools.count(1)

    async def gated(*arguments: Any, **named: Any) -> Any:
        if next(batches) > 3:
            await opened.wait()
        return await inspect(*arguments, **named)

    monkeypatch.setattr("db.ingest.sync.stages.inspect", gated)
    monkeypatch.setattr(stages, "BATCH", 5)
    return opened


def fill(dataset: DatasetFixture, number: int) -> None:
    for index in range(number):
        dataset.put(f"{index}.png")


def has(dataset: DatasetFixture, job_id: int, **expected: Any) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        job = await dataset.job(job_id)
        return all(job[name] == value for name, value in expected.items())

    return holds


def has_added(dataset: DatasetFixture, job_id: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return bool((await dataset.job(job_id))["added"] > 0)

    return holds


async def start_half(dataset: DatasetFixture) -> int:
    """Start a sync of 50 images, of which some are added."""
    fill(dataset, 50)
    job_id = await dataset.start()
    await wait_until(has_added(dataset, job_id))
    return job_id


@pytest.mark.portable
async def test_runs_a_job(dataset: DatasetFixture, tmp_path: Path) -> None:
    fill(dataset, 30)
    async with working(dataset.database, tmp_path):
        job_id = await dataset.start()
        await wait_until(has(dataset, job_id, status="SUCCEEDED", added=30))


async def test_dry_runs_leave_one_slot_to_others(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = asyncio.Event()

    async def run(_: Database, job: jobs.Claim, *__: object) -> None:
        if job.is_of_reader:
            await opened.wait()

    monkeypatch.setattr("db.ingest.sync.run", run)
    first, second, third = [await dataset_fixture.local(database, tmp_path) for _ in range(3)]
    async with working(database, tmp_path, jobs=2):
        dry = [(each, await each.start(dry_run=True)) for each in (first, second)]
        await wait_until(has(*dry[0], status="RUNNING"))
        await wait_until(has(third, await third.start(), status="SUCCEEDED"))
        assert (await second.job(dry[1][1]))["status"] == "QUEUED"
        opened.set()
        for each in dry:
            await wait_until(has(*each, status="SUCCEEDED"))


async def test_the_owner_says_how_much_a_sync_may_remove(dataset: DatasetFixture, tmp_path: Path) -> None:
    fill(dataset, 4)
    await dataset.sync()
    dataset.remove("0.png")
    async with working(dataset.database, tmp_path, removal_samples=3, removal_percent=24):
        refused = await dataset.start()
        await wait_until(has(dataset, refused, status="FAILED", error_code="TOO_MANY_REMOVED"))
    async with working(dataset.database, tmp_path, removal_samples=3, removal_percent=25):
        allowed = await dataset.start()
        await wait_until(has(dataset, allowed, status="SUCCEEDED", removed=1))


async def test_runs_a_job_that_was_queued_before_it_started(dataset: DatasetFixture, tmp_path: Path) -> None:
    job_id = await dataset.start()
    async with working(dataset.database, tmp_path):
        await wait_until(has(dataset, job_id, status="SUCCEEDED"))


@pytest.mark.usefixtures("gate")
async def test_stops_a_canceled_job_in_the_middle_and_keeps_what_was_merged(
    dataset: DatasetFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(dataset.database, tmp_path):
        job_id = await start_half(dataset)
        async with dataset.database.writing() as session:
            await jobs.cancel(session, job_id)
        await wait_until(has(dataset, job_id, status="CANCELED"))
    job = await dataset.job(job_id)
    assert job["finished_at"] is not None
    assert 0 < len(await dataset.labels()) == job["added"] < 50
    assert await dataset.rows("SELECT 1 FROM sync_item UNION ALL SELECT 1 FROM sync_object") == []
    monkeypatch.undo()
    assert (await dataset.sync())["added"] == 50 - job["added"]


async def test_a_waiting_job_is_canceled_at_once(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with dataset.database.writing() as session:
        await jobs.cancel(session, job_id)
    assert (await dataset.job(job_id))["status"] == "CANCELED"
    assert await jobs.claim(dataset.database, WORKER) is None


async def test_a_stopping_worker_returns_its_job_to_the_queue(
    dataset: DatasetFixture, tmp_path: Path, gate: asyncio.Event
) -> None:
    async with working(dataset.database, tmp_path):
        job_id = await start_half(dataset)
    job = await dataset.job(job_id)
    assert (job["status"], job["attempts"]) == ("QUEUED", 0)
    gate.set()
    async with working(dataset.database, tmp_path):
        await wait_until(has(dataset, job_id, status="SUCCEEDED", added=50))


async def test_a_worker_that_lost_its_connection_opens_another(
    dataset: DatasetFixture, tmp_path: Path, gate: asyncio.Event
) -> None:
    async with working(dataset.database, tmp_path):
        job_id = await start_half(dataset)
        await dataset.do("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 2")
        gate.set()
        await wait_until(has(dataset, job_id, status="SUCCEEDED", added=50))


async def test_a_claim_that_fails_interrupts_no_running_job(
    dataset: DatasetFixture, tmp_path: Path, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, fails, failed = jobs.claim, False, asyncio.Event()

    async def claim_or_fail(*arguments: Any, **named: Any) -> jobs.Claim | None:
        if fails and not failed.is_set():
            failed.set()
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")
        return await claim(*arguments, **named)

    monkeypatch.setattr(jobs, "claim", claim_or_fail)
    monkeypatch.setattr(worker, "POLL", 0.1)
    async with working(dataset.database, tmp_path, jobs=2):
        job_id = await start_half(dataset)
        fails = True
        await asyncio.wait_for(failed.wait(), TIMEOUT)
        gate.set()
        await wait_until(has(dataset, job_id, status="SUCCEEDED"))
    assert (await dataset.job(job_id))["epoch"] == 1


async def test_a_job_whose_notification_was_lost_is_run_by_the_next_poll(
    dataset: DatasetFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(dataset.database, tmp_path):
        await wait_until(has(dataset, await dataset.start(), status="SUCCEEDED"))
        monkeypatch.setattr("db.jobs.queue.notify_workers", _notify_nobody)
        await wait_until(has(dataset, await dataset.start(), status="SUCCEEDED"))


async def _notify_nobody(_: object) -> None:
    return


async def test_a_notification_wakes_the_worker(
    dataset: DatasetFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 10 * TIMEOUT)
    async with working(dataset.database, tmp_path):
        for _ in range(2):
            await wait_until(has(dataset, await dataset.start(), status="SUCCEEDED"))


async def test_a_busy_worker_runs_no_more_jobs_at_once_than_it_may(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, highest, full = 0, 0, asyncio.Event()

    async def run(*_: object) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        if running == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1

    monkeypatch.setattr("db.ingest.sync.run", run)
    datasets = [await dataset_fixture.local(database, tmp_path) for _ in range(10)]
    ids = [await dataset.start() for dataset in datasets]
    async with working(database, tmp_path, jobs=3):
        for dataset, job_id in zip(datasets, ids, strict=True):
            await wait_until(has(dataset, job_id, status="SUCCEEDED"))
    assert highest == 3


async def test_a_failure_is_shown_in_the_job(dataset: DatasetFixture, tmp_path: Path) -> None:
    await dataset.do("UPDATE dataset SET input_path = $1", str(tmp_path / "nowhere"))
    async with working(dataset.database, tmp_path):
        job_id = await dataset.start()
        await wait_until(has(dataset, job_id, status="FAILED"))
    job = await dataset.job(job_id)
    assert job["error_code"] == "STORAGE_ERROR"
    assert str(tmp_path) not in job["error_message"]


async def test_a_path_that_is_no_longer_allowed_fails_the_job(dataset: DatasetFixture, tmp_path: Path) -> None:
    async with working(dataset.database, tmp_path / "below"):
        job_id = await dataset.start()
        await wait_until(has(dataset, job_id, status="FAILED", error_code="INVALID_PATH"))


async def test_an_unforeseen_failure_is_shown_by_a_reference(
    dataset: DatasetFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("db.ingest.sync.run", fails)
    async with working(dataset.database, tmp_path):
        job_id = await dataset.start()
        await wait_until(has(dataset, job_id, status="FAILED", error_code="INTERNAL_ERROR"))
    message = (await dataset.job(job_id))["error_message"]
    assert "secret" not in message
    assert message.split()[-1].rstrip(".") in caplog.text


async def test_progress_never_falls_and_is_pushed_while_the_job_goes_on(
    dataset: DatasetFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is read only after the subscriber has received the one before; nobody polls."""
    monkeypatch.setattr(events, "POLL", TIMEOUT)
    monkeypatch.setattr(stages, "BATCH", 5)
    received, batches = asyncio.Condition(), itertools.count()
    reports: list[tuple[int, float, int]] = []

    async def paced(*arguments: Any, **named: Any) -> Any:
        merged = 5 * max(next(batches) - 2, 0)  # one is read ahead while one is written
        async with received:
            await received.wait_for(lambda: reports and reports[-1][2] >= merged)
        return await inspect(*arguments, **named)

    monkeypatch.setattr("db.ingest.sync.stages.inspect", paced)
    fill(dataset, 60)
    job_id = await dataset.start()
    async with (
        asyncio.timeout(TIMEOUT),
        events.listening(dataset.database) as subscriptions,
        working(dataset.database, tmp_path),
    ):
        async for step in subscriptions.steps("job", job_id):
            job = await dataset.job(job_id)
            async with received:
                reports.append((step, job["progress"] or 0.0, job["added"]))
                received.notify_all()
    steps, ratios, _ = zip(*reports, strict=True)
    assert list(steps) == sorted(set(steps))
    assert list(ratios) == sorted(ratios)
    assert ratios[-1] == 1.0
    assert runner.BEAT <= 0.5, "twice a second at least"


async def test_a_deleted_dataset_is_purged(dataset: DatasetFixture, tmp_path: Path) -> None:
    fill(dataset, 20)
    dataset.put("1.txt", "cat")
    await dataset.sync()
    dataset.remove("2.png")
    await dataset.sync()
    sample = await dataset.sample("3.png")
    await dataset.delete_by_hand("3.png")
    await dataset.do(
        "INSERT INTO source_deletion (dataset_id, source_id, change_id, path, etag)"
        " SELECT s.dataset_id, s.id, c.id, s.path, s.etag FROM source s, change c WHERE s.id = $1 AND c.revision = 1",
        sample["source_id"],
    )
    async with dataset.database.writing() as session:
        await jobs.enqueue(session, dataset.dataset_id, "PURGE", requested_by="ann")
    await dataset.do("UPDATE dataset SET deleted_at = now()")

    async def nothing_left() -> bool:
        tables = ("dataset", "sample", "sample_past", "source", "label", "annotation", "change", "job", "job_warning")
        rows = " UNION ALL ".join(f"SELECT 1 FROM {table}" for table in tables)
        return await dataset.rows(rows) == []

    async with working(dataset.database, tmp_path):
        await wait_until(nothing_left)
    assert len(list(tmp_path.iterdir())) == 19


async def test_two_workers_share_the_jobs(database: Database, tmp_path: Path) -> None:
    datasets = [await dataset_fixture.local(database, tmp_path) for _ in range(6)]
    fill(datasets[0], 20)
    async with working(database, tmp_path), working(database, tmp_path):
        ids = [await dataset.start() for dataset in datasets]
        for dataset, job_id in zip(datasets, ids, strict=True):
            await wait_until(has(dataset, job_id, status="SUCCEEDED"))
            assert (await dataset.counts(job_id))["added"] == 20


@asynccontextmanager
async def claimed_job(dataset: DatasetFixture) -> AsyncIterator[tuple[int, asyncpg.Connection]]:
    """A job, and the connection of the worker that has claimed it."""
    job_id = await dataset.start()
    connection = await asyncpg.connect(driver_url(dataset.database.url))
    async with jobs.register_worker(connection) as number:
        assert await jobs.claim(dataset.database, number) is not None
        yield job_id, connection


async def test_a_dead_workers_job_is_found_at_once(dataset: DatasetFixture) -> None:
    """Postgres frees a dead process's lock as soon as its connection is cut; no lease is waited for."""
    async with claimed_job(dataset) as (job_id, connection):
        await dataset.do("UPDATE job SET heartbeat_at = now() + interval '1 day'")
        assert await jobs.sweep(dataset.database) == []
        connection.terminate()
    await wait_until(is_swept(dataset, job_id))


async def test_a_silent_workers_job_is_taken_over_after_its_lease(dataset: DatasetFixture) -> None:
    """Where a network holds a dead connection open, the age of the heartbeat decides."""
    async with claimed_job(dataset) as (job_id, connection):
        await dataset.do("UPDATE job SET heartbeat_at = now() - interval '16 s'")
        assert await jobs.sweep(dataset.database) == [job_id]
    await connection.close()
