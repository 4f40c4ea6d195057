"""Sync beside others: people who label, workers who come back from the dead, a second sync, a deletion."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets import check
from db.errors import Conflict, NotFound, StorageError
from db.history import transactions
from db.identity.tokens import Identity, Scope
from db.ingest import sync
from db.ingest.sync import stages
from db.jobs import Fenced
from db.labelling.samples.delete import delete
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.outcomes import Deleted, Labelled
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database, driver_url
from db.storage import Head, MemoryStore
from tests.db import world
from tests.db.world import WORKER, World

BOB = Identity("bob", Scope.MANAGE, token_id=2)


@pytest.fixture
async def place(database: Database) -> World:
    return await world.memory(database)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 10)


class Gate(MemoryStore):
    """A store that stands still at the n-th reading until the gate is opened."""

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


def fill(place: World, number: int) -> None:
    for index in range(number):
        place.put(f"{index:03}.png")
        place.put(f"{index:03}.txt", f"label-{index % 3}")


async def true_counts(place: World) -> list[str]:
    async with place.database.reading() as connection:
        return await check.recount(connection, place.dataset_id)


async def test_a_worker_back_from_the_dead_writes_nothing(place: World) -> None:
    fill(place, 60)
    assert isinstance(place.store, MemoryStore)
    gate = Gate(place.store, at=5)
    job_id = await place.start()
    stale = await jobs.claim(place.database, job_id, WORKER)
    assert stale is not None
    zombie = asyncio.create_task(sync.run(place.database, stale, gate))
    await gate.reached.wait()
    assert await jobs.sweep(place.database) == [job_id]
    await place.work(job_id)
    before = await place.rows("SELECT xmin, * FROM sample ORDER BY id")
    gate.open.set()
    with pytest.raises(Fenced):
        await zombie
    assert not await jobs.finish(place.database, stale, "FAILED")
    assert await place.rows("SELECT xmin, * FROM sample ORDER BY id") == before
    assert (await place.job(job_id))["status"] == "SUCCEEDED"
    assert (await place.counts(job_id))["added"] == 60


async def test_a_zombie_that_overlaps_its_successor_does_no_harm(place: World) -> None:
    fill(place, 60)
    assert isinstance(place.store, MemoryStore)
    for at in range(1, 8):
        gate = Gate(place.store, at=at)
        other = await world.make(place.database, place.store)
        job_id = await other.start()
        stale = await jobs.claim(place.database, job_id, WORKER)
        assert stale is not None
        zombie = asyncio.create_task(sync.run(place.database, stale, gate))
        await asyncio.wait({zombie, asyncio.create_task(gate.reached.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await jobs.sweep(place.database)
        successor = asyncio.create_task(other.work(job_id))
        gate.open.set()
        outcome, _ = await asyncio.gather(zombie, successor, return_exceptions=True)
        assert isinstance(outcome, Fenced)
        assert (await other.counts(job_id))["added"] == 60
        assert len(await other.labels()) == 60


async def test_one_of_many_syncs_asked_for_at_once_is_made(place: World) -> None:
    answers = await asyncio.gather(*(place.start() for _ in range(8)), return_exceptions=True)
    made = [answer for answer in answers if isinstance(answer, int)]
    assert len(made) == 1
    for refused in (answer for answer in answers if not isinstance(answer, int)):
        assert isinstance(refused, Conflict)
        assert refused.details == {"jobId": f"SyncJob:{made[0]}"}


async def test_one_of_many_workers_gets_the_job(place: World) -> None:
    job_id = await place.start()
    connection = await asyncpg.connect(driver_url(place.database.url))
    async with jobs.register_worker(connection) as worker:
        claims = await asyncio.gather(*(jobs.claim(place.database, job_id, worker) for _ in range(8)))
        assert len([claim for claim in claims if claim is not None]) == 1
        assert await jobs.sweep(place.database) == []
    await connection.close()
    assert await jobs.sweep(place.database) == [job_id]


async def put_label(place: World, ids: Sequence[int], how: LabelWith) -> None:
    async def work(session: AsyncSession) -> Labelled:
        return await label(session, place.dataset_id, Selection(ids=ids), how, by=BOB)

    await transactions.write(place.database, work, Labelled)


async def delete_samples(place: World, ids: Sequence[int]) -> None:
    async def work(session: AsyncSession) -> Deleted:
        return await delete(session, place.dataset_id, Selection(ids=ids), by=BOB)

    await transactions.write(place.database, work, Deleted)


async def keep_labelling(place: World, ids: Sequence[int], name: str, done: asyncio.Event) -> int:
    rounds = 0
    while not done.is_set():
        how = LabelWith(labels=(name,), mode="SET" if rounds % 2 else "ADD", create_missing=True)
        await put_label(place, ids[rounds % 40 :: 40], how)
        rounds += 1
    return rounds


async def sync_to_the_end(place: World, done: asyncio.Event) -> dict[str, int]:
    job_id = await place.start()
    await place.work(job_id)
    done.set()
    return await place.counts(job_id)


async def test_people_label_and_delete_while_a_sync_runs(place: World) -> None:
    fill(place, 200)
    await place.sync()
    ids = [row["id"] for row in await place.rows("SELECT id FROM sample ORDER BY path")]
    for index in range(1, 200, 2):
        place.put(f"{index:03}.png")
        place.put(f"{index:03}.txt", f"label-{index % 5}\nextra")
    for index in range(9, 200, 10):
        place.remove(f"{index:03}.png")
    for index in range(200, 300):
        place.put(f"{index:03}.png")
    done = asyncio.Event()
    job, *rounds, _ = await asyncio.gather(
        sync_to_the_end(place, done),
        keep_labelling(place, ids, "label-1", done),
        keep_labelling(place, ids, "by-bob", done),
        delete_samples(place, ids[::50]),
    )
    assert min(rounds) > 3, "labelling stood still while the sync ran"
    assert await true_counts(place) == []
    assert (job["added"], job["removed"]) == (100, 20)
    assert len(await place.labels()) == 200 - 20 - 4 + 100
    [gapless] = await place.rows("SELECT count(*) = max(revision) AS holds FROM change")
    assert gapless["holds"]


async def test_a_sync_of_a_dataset_that_is_deleted_meanwhile_stops(place: World) -> None:
    fill(place, 60)
    assert isinstance(place.store, MemoryStore)
    gate = Gate(place.store, at=4)
    job_id = await place.start()
    claim = await jobs.claim(place.database, job_id, WORKER)
    assert claim is not None
    work = asyncio.create_task(sync.run(place.database, claim, gate))
    await gate.reached.wait()
    await place.do("UPDATE dataset SET deleted_at = now() WHERE id = $1", place.dataset_id)
    gate.open.set()
    with pytest.raises(NotFound):
        await work


async def test_syncs_of_many_datasets_run_side_by_side(database: Database, tmp_path: Path) -> None:
    places = [await world.local(database, tmp_path) for _ in range(4)]
    fill(places[0], 50)
    jobs_done = await asyncio.gather(*(place.sync() for place in places))
    assert [job["added"] for job in jobs_done] == [50] * 4
    assert [await true_counts(place) for place in places] == [[]] * 4
