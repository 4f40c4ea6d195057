"""A sync at the same time as others: people who label, workers that come back, a second sync, a deletion."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets import check
from db.errors import Conflict, NotFound, StorageError
from db.history import transactions
from db.history.changes import lock_dataset
from db.identity.tokens import Identity, Scope
from db.ingest import sync
from db.ingest.sync import stages
from db.jobs import Fenced
from db.labelling.samples.delete import Deleted, delete
from db.labelling.samples.label import Labelled, LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database, driver_url
from db.storage import Head
from tests.db import dataset_fixture
from tests.db.dataset_fixture import WORKER, DatasetFixture
from tests.memory_store import MemoryStore
from tests.waiting import wait_until

BOB = Identity("bob", Scope.MANAGE, token_id=2)


@pytest.fixture
async def dataset(database: Database) -> DatasetFixture:
    return await dataset_fixture.memory(database)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 10)


class Gate(MemoryStore):
    """A store that blocks at the n-th reading until the gate is opened."""

    def __init__(self, store: MemoryStore, at: int) -> None:
        super().__init__()
        self.contents = store.contents
        self.at = at
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        self.at -= 1
        if self.at == 0:
            self.reached.set()
            await self.open.wait()
        return await super().heads(paths, length=length)


def fill(dataset: DatasetFixture, number: int) -> None:
    for index in range(number):
        dataset.put(f"{index:03}.png")
        dataset.put(f"{index:03}.txt", f"label-{index % 3}")


async def true_counts(dataset: DatasetFixture) -> list[str]:
    async with dataset.database.reading() as connection:
        return await check.recount(connection, dataset.dataset_id)


async def test_a_worker_back_from_a_pause_writes_nothing(dataset: DatasetFixture) -> None:
    fill(dataset, 60)
    assert isinstance(dataset.store, MemoryStore)
    gate = Gate(dataset.store, at=5)
    job_id = await dataset.start()
    stale = await jobs.claim(dataset.database, WORKER)
    assert stale is not None
    zombie = asyncio.create_task(sync.run(dataset.database, stale, gate))
    await gate.reached.wait()
    await wait_until(is_swept(dataset, job_id))
    await dataset.work(job_id)
    before = await dataset.rows("SELECT xmin, * FROM sample ORDER BY id")
    gate.open.set()
    with pytest.raises(Fenced):
        await zombie
    assert not await jobs.finish(dataset.database, stale, "FAILED")
    assert await dataset.rows("SELECT xmin, * FROM sample ORDER BY id") == before
    assert (await dataset.job(job_id))["status"] == "SUCCEEDED"
    assert (await dataset.counts(job_id))["added"] == 60


def is_swept(dataset: DatasetFixture, job_id: int) -> Callable[[], Awaitable[bool]]:
    """A sweep skips a job whose row is locked by a batch."""

    async def holds() -> bool:
        return await jobs.sweep(dataset.database) == [job_id]

    return holds


async def test_a_zombie_that_overlaps_its_successor_does_no_harm(dataset: DatasetFixture) -> None:
    fill(dataset, 60)
    assert isinstance(dataset.store, MemoryStore)
    for at in range(1, 8):
        gate = Gate(dataset.store, at=at)
        other = await dataset_fixture.make(dataset.database, dataset.store)
        job_id = await other.start()
        stale = await jobs.claim(dataset.database, WORKER)
        assert stale is not None
        zombie = asyncio.create_task(sync.run(dataset.database, stale, gate))
        await asyncio.wait({zombie, asyncio.create_task(gate.reached.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await wait_until(is_swept(dataset, job_id))
        successor = asyncio.create_task(other.work(job_id))
        gate.open.set()
        outcome, _ = await asyncio.gather(zombie, successor, return_exceptions=True)
        assert isinstance(outcome, Fenced)
        assert (await other.counts(job_id))["added"] == 60
        assert len(await other.labels()) == 60


async def test_one_of_many_syncs_asked_for_at_once_is_made(dataset: DatasetFixture) -> None:
    answers = await asyncio.gather(*(dataset.start() for _ in range(8)), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, int)]
    assert len(made) == 1
    for refused in (answer for answer in answers if not isinstance(answer, int)):
        assert isinstance(refused, Conflict)
        assert refused.details == {"jobId": f"SyncJob:{made[0]}"}


async def test_one_of_many_workers_gets_the_job(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    connection = await asyncpg.connect(driver_url(dataset.database.url))
    async with jobs.register_worker(connection) as worker:
        claims = await asyncio.gather(*(jobs.claim(dataset.database, worker) for _ in range(8)))
        assert len([claim for claim in claims if claim is not None]) == 1
        assert await jobs.sweep(dataset.database) == []
    await connection.close()
    assert await jobs.sweep(dataset.database) == [job_id]


async def put_label(dataset: DatasetFixture, ids: Sequence[int], how: LabelWith) -> None:
    async def work(session: AsyncSession) -> Labelled:
        return await label(session, dataset.dataset_id, Selection(ids=ids), how, by=BOB)

    await transactions.write(dataset.database, work, Labelled)


async def delete_samples(dataset: DatasetFixture, ids: Sequence[int]) -> None:
    async def work(session: AsyncSession) -> Deleted:
        return await delete(session, dataset.dataset_id, Selection(ids=ids), by=BOB)

    await transactions.write(dataset.database, work, Deleted)


async def keep_labelling(dataset: DatasetFixture, ids: Sequence[int], name: str, done: asyncio.Event) -> int:
    rounds = 0
    while not done.is_set():
        how = LabelWith(labels=(name,), mode="SET" if rounds % 2 else "ADD", create_missing=True)
        await put_label(dataset, ids[rounds % 40 :: 40], how)
        rounds += 1
    return rounds


async def sync_to_the_end(dataset: DatasetFixture, done: asyncio.Event) -> dict[str, int]:
    job_id = await dataset.start()
    await dataset.work(job_id)
    done.set()
    return await dataset.counts(job_id)


async def test_people_label_and_delete_while_a_sync_runs(dataset: DatasetFixture) -> None:
    fill(dataset, 200)
    await dataset.sync()
    ids = [row["id"] for row in await dataset.rows("SELECT id FROM sample ORDER BY path")]
    for index in range(1, 200, 2):
        dataset.put(f"{index:03}.png")
        dataset.put(f"{index:03}.txt", f"label-{index % 5}\nextra")
    for index in range(9, 200, 10):
        dataset.remove(f"{index:03}.png")
    for index in range(200, 300):
        dataset.put(f"{index:03}.png")
    done = asyncio.Event()
    job, *rounds, _ = await asyncio.gather(
        sync_to_the_end(dataset, done),
        keep_labelling(dataset, ids, "label-1", done),
        keep_labelling(dataset, ids, "by-bob", done),
        delete_samples(dataset, ids[::50]),
    )
    assert min(rounds) > 3, "labelling stood still while the sync ran"
    assert await true_counts(dataset) == []
    assert (job["added"], job["removed"]) == (100, 20)
    assert len(await dataset.labels()) == 200 - 20 - 4 + 100
    [gapless] = await dataset.rows("SELECT count(*) = max(revision) AS holds FROM change")
    assert gapless["holds"]


async def test_a_sync_of_a_dataset_that_is_deleted_meanwhile_stops(dataset: DatasetFixture) -> None:
    fill(dataset, 60)
    assert isinstance(dataset.store, MemoryStore)
    gate = Gate(dataset.store, at=4)
    await dataset.start()
    claim = await jobs.claim(dataset.database, WORKER)
    assert claim is not None
    work = asyncio.create_task(sync.run(dataset.database, claim, gate))
    await gate.reached.wait()
    await dataset.do("UPDATE dataset SET deleted_at = now() WHERE id = $1", dataset.dataset_id)
    gate.open.set()
    with pytest.raises(NotFound):
        await work


async def test_syncs_of_many_datasets_run_side_by_side(database: Database, tmp_path: Path) -> None:
    datasets = [await dataset_fixture.local(database, tmp_path) for _ in range(4)]
    fill(datasets[0], 50)
    claims = []
    for dataset in datasets:
        job_id = await dataset.start()
        claims.append(await dataset.claim(job_id))
    await asyncio.gather(*(dataset.run(claim) for dataset, claim in zip(datasets, claims, strict=True)))
    for dataset, claim in zip(datasets, claims, strict=True):
        assert (await dataset.job(claim.id))["added"] == 50
        assert await true_counts(dataset) == []


async def test_nobody_waits_for_a_dry_run_and_it_notices_that_it_was_overtaken(dataset: DatasetFixture) -> None:
    fill(dataset, 60)
    assert isinstance(dataset.store, MemoryStore)
    gate = Gate(dataset.store, at=4)
    await dataset.start(dry_run=True)
    claim = await jobs.claim(dataset.database, WORKER)
    assert claim is not None
    dry_run = asyncio.create_task(sync.run(dataset.database, claim, gate))
    await gate.reached.wait()
    with pytest.raises(Conflict) as second:
        await dataset.start(dry_run=True)
    assert (second.value.code, second.value.details) == ("SYNC_ALREADY_RUNNING", {"jobId": f"SyncJob:{claim.id}"})
    await dataset.start(dry_run=True, by="bob")
    started = await dataset.start()
    with pytest.raises(Conflict) as beside:
        await dataset.start(dry_run=True)
    assert beside.value.details == {"jobId": f"SyncJob:{started}"}
    await dataset.work(started)
    assert (await dataset.counts(started))["added"] == 60
    gate.open.set()
    with pytest.raises(Conflict, match="start another dry run"):
        await dry_run


async def test_a_dry_run_waits_for_nobody(dataset: DatasetFixture) -> None:
    fill(dataset, 3)
    await dataset.sync()
    dataset.move("000.png", "moved.png")
    async with dataset.database.writing() as session:
        await lock_dataset(session, dataset.dataset_id, None, exclusive=True)
        for table in ("dataset", "sample", "label", "source"):
            await session.exec(sqlalchemy.text(f"SELECT id FROM {table} FOR NO KEY UPDATE"))  # type: ignore[call-overload]
        job = await dataset.sync(dry_run=True)
    assert (job["moved"], job["removed"], job["unchanged"]) == (1, 0, 2)
