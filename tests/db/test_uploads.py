"""Uploads by key: dying at any step and beginning again, what is cleared away and when, and what a call costs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.datasets import check, purge
from db.formats.images import ImageFacts, check_here
from db.history.transactions import write
from db.identity.tokens import Identity, Scope
from db.ingest import uploads
from db.ingest.uploads import Checks, IssuedTickets, RequestedFile, RequestedUploads, Uploaded
from db.ingest.uploads.destinations import lock_names
from db.ingest.uploads.files import STAGING
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection, lock_samples
from db.postgres import engine
from db.postgres.engine import Database
from db.storage import RootMissing, Store, Stores
from tests.db import dataset_fixture
from tests.db.concurrency import until_blocked
from tests.db.crash_injection import Crash, CrashPoint, crashing
from tests.db.dataset_fixture import DatasetFixture, image_bytes
from tests.db.test_changes import statements
from tests.memory_store import MemoryStore
from tests.waiting import LIMITS

ANN = Identity("ann", Scope.MANAGE, 1)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Opens one store, whatever is asked for."""

    store: Store

    def open(self, url: str) -> Store:
        return self.store


@dataclass(frozen=True, slots=True)
class Work:
    """What a script does, file by file: it asks, puts, and completes."""

    dataset: DatasetFixture
    files: dict[str, tuple[RequestedFile, bytes]]
    on_conflict: uploads.OnConflict = "RENAME"

    @property
    def staging(self) -> MemoryStore:
        assert isinstance(self.dataset.store, MemoryStore)
        return self.dataset.store

    def asked(self, expiry: float | None = None) -> RequestedUploads:
        to_upload = [file for file, _ in self.files.values()]
        return RequestedUploads(to_upload, int(expiry or time.time() + 3_600), ("cat",), True, self.on_conflict)

    async def request(self, database: Database, **more: Any) -> IssuedTickets:
        asked = self.asked(**more)
        return await write(
            database, lambda session: uploads.request(session, self.dataset.dataset_id, asked, by=ANN), IssuedTickets
        )

    async def put(self, requested: IssuedTickets) -> None:
        for ticket in requested.tickets:
            if ticket.staged is not None:
                self.staging.put(STAGING + ticket.staged, self.files[ticket.key][1])

    async def complete(self, database: Database, store: Store, keys: Sequence[str] = ()) -> Uploaded:
        stores, id = cast(Stores, Shelf(store)), self.dataset.dataset_id
        keys = keys or list(self.files)
        checks = Checks(room=asyncio.Semaphore(1))  # one file after the other: steps are the same in every run
        arrived = await uploads.inspect(database, stores, id, keys, checks=checks, by=ANN)
        done = await write(database, lambda session: uploads.complete(session, id, arrived, by=ANN), Uploaded)
        await uploads.discard(stores, done)
        return done

    async def all(self, crash_point: CrashPoint) -> Uploaded | None:
        """None: it died on the way."""
        database, store = crashing(self.dataset.database, self.staging, crash_point)
        try:
            requested = await self.request(database)
            await self.put(requested)
            return await self.complete(database, store)
        except Crash:
            return None

    async def end(self) -> dict[str, Any]:
        """All that is to be seen, apart from ids and times."""
        rows = await self.dataset.rows("SELECT key, path, error_code, finished_at IS NULL FROM upload ORDER BY key")
        async with self.dataset.database.reading() as connection:
            wrong = await check.recount(connection, self.dataset.dataset_id)
        return {
            "labels": await self.dataset.labels(),
            "objects": {path: data for path, (data, _) in self.staging.contents.items()},
            "uploads": [tuple(row) for row in rows],
            "wrong": wrong,
        }

    async def objects(self) -> int:
        return sum(path.startswith(STAGING) for path in self.staging.contents)


FILES = {key: image_bytes(("red", "green", "blue", "grey", "white")[n]) for n, key in enumerate("abcde")}


async def prepared(database: Database) -> Work:
    """A sample and a stranger's file in the way, a file that is none, and good ones."""
    dataset = await dataset_fixture.memory(database)
    dataset.put("cat.png", image_bytes("black"))
    await dataset.sync()
    dataset.put("dog.png", b"a stranger's")
    await dataset.do("DELETE FROM upload")
    names = {"a": "cat.png", "b": "cat.png", "c": "dog.png", "d": "bird.png", "e": "bad.png"}
    data = FILES | {"e": b"no image"}
    labels = {"d": ["bird"]}
    return Work(dataset, {k: (RequestedFile(k, names[k], len(data[k]), labels.get(k, ())), data[k]) for k in names})


async def test_the_clean_run_is_what_it_should_be(database: Database) -> None:
    work = await prepared(database)
    assert await work.all(CrashPoint()) is not None
    end = await work.end()
    assert end["labels"] == {
        "bird.png": ["bird", "cat"],
        "cat-1.png": ["cat"],
        "cat-2.png": ["cat"],
        "cat.png": [],
        "dog-1.png": ["cat"],
    }
    assert end["uploads"] == [
        ("a", "cat-1.png", None, False),
        ("b", "cat-2.png", None, False),
        ("c", "dog-1.png", None, False),
        ("d", "bird.png", None, False),
        ("e", "bad.png", "UNSUPPORTED_FORMAT", False),
    ]
    assert end["objects"].keys() == {*end["labels"], "dog.png"}
    assert end["objects"]["dog-1.png"] == FILES["c"]
    assert end["wrong"] == []


@pytest.mark.parametrize("synced", [False, True])
async def test_a_script_that_crashes_at_any_step_and_begins_again_ends_the_same(
    database: Database, synced: bool
) -> None:
    """Also when a sync finds in between what it left behind."""
    work = await prepared(database)
    await work.all(CrashPoint())
    clean = await work.end()
    step = 0
    while True:
        work = await prepared(database)
        if await work.all(CrashPoint(step)) is not None:
            break
        if synced:
            await work.dataset.sync()
        assert await work.all(CrashPoint()) is not None
        assert await _settled(work) == clean, f"after a death at step {step}"
        step += 1
    assert step > 25, "the scenario has become too small to tell anything"


async def test_one_that_crashes_twice_ends_the_same(database: Database) -> None:
    work = await prepared(database)
    await work.all(CrashPoint())
    clean = await work.end()
    chance = random.Random(5)
    for _ in range(20):
        work = await prepared(database)
        lives = chance.randrange(30), chance.randrange(25)
        for left in lives:
            await work.all(CrashPoint(left))
            await work.dataset.sync()
        await work.all(CrashPoint())
        assert await _settled(work) == clean, f"after deaths at steps {lives}"


async def test_two_who_complete_a_key_at_once_evade_a_strangers_file_to_one_place(database: Database) -> None:
    """A script whose patience ended, and its own repetition. Both find the stranger's file with their own eyes."""
    work, _ = await one(database)
    work.dataset.put("a.png", b"a stranger's")
    both = asyncio.Barrier(2)

    async def slow(data: bytes) -> ImageFacts:
        await both.wait()
        return await check_here(data)

    async def complete() -> Uploaded:
        stores, id = cast(Stores, Shelf(work.staging)), work.dataset.dataset_id
        arrived = await uploads.inspect(database, stores, id, ["a"], checks=Checks(slow), by=ANN)
        return await write(database, lambda session: uploads.complete(session, id, arrived, by=ANN), Uploaded)

    first, second = await asyncio.gather(complete(), complete())
    assert first.results == second.results
    assert {path for path in work.staging.contents if not path.startswith(STAGING)} == {"a.png", "a-1.png"}


async def _settled(work: Work) -> dict[str, Any]:
    """The end, once what is left in the staging area is swept: whoever dies last may leave a finished upload's."""
    await work.dataset.do("UPDATE upload SET sweep_at = now()")
    await uploads.sweep(work.dataset.database, lambda _: work.staging)
    return await work.end()


async def one(database: Database) -> tuple[Work, IssuedTickets]:
    """A file that was put."""
    dataset = await dataset_fixture.memory(database)
    data = image_bytes()
    work = Work(dataset, {"a": (RequestedFile("a", "a.png", len(data)), data)})
    requested = await work.request(database)
    await work.put(requested)
    return work, requested


async def swept(work: Work) -> list[tuple[Any, ...]]:
    await uploads.sweep(work.dataset.database, lambda _: work.staging)
    return [tuple(row) for row in await work.dataset.rows("SELECT key, cleared FROM upload")]


async def later(work: Work, interval: str) -> None:
    """As if so much time had passed."""
    moments = ("expires_at", "sweep_at", "finished_at")
    await work.dataset.do(f"UPDATE upload SET {', '.join(f'{name} = {name} - {interval}' for name in moments)}")


async def test_what_nobody_completes_is_cleared_away_an_hour_after_its_url_ended(database: Database) -> None:
    work, _ = await one(database)
    assert await swept(work) == [("a", False)]
    await later(work, "interval '119 min'")
    assert (await swept(work), await work.objects()) == ([("a", False)], 1)
    await later(work, "interval '2 min'")
    assert (await swept(work), await work.objects()) == ([], 0)
    done = await work.complete(database, work.staging)
    assert [result.code for result in done.results] == ["NOT_FOUND"]


async def test_what_is_asked_for_anew_is_kept_longer(database: Database) -> None:
    work, _ = await one(database)
    await later(work, "interval '119 min'")
    await work.request(database)
    await later(work, "interval '119 min'")
    assert (await swept(work), await work.objects()) == ([("a", False)], 1)


async def test_a_completed_key_is_known_for_a_week_and_its_url_leads_nowhere(database: Database) -> None:
    work, requested = await one(database)
    [first] = (await work.complete(database, work.staging)).results
    assert await work.objects() == 0
    await work.put(requested)  # any number of times, while the URL is valid
    await later(work, "interval '121 min'")
    assert (await swept(work), await work.objects()) == ([("a", True)], 0)
    await later(work, "interval '6 days 21 hours'")
    assert await swept(work) == [("a", True)]
    [again] = (await work.complete(database, work.staging)).results
    assert again.sample == first.sample
    await later(work, "interval '2 hours'")
    assert await swept(work) == []
    assert list(work.staging.contents) == ["a.png"]


async def test_a_store_that_is_away_is_cleared_when_it_is_back_and_forgotten_when_it_never_is(
    database: Database,
) -> None:
    work, _ = await one(database)
    await later(work, "interval '121 min'")
    work.staging.broken = True
    assert await swept(work) == [("a", False)]
    await later(work, "interval '11 min'")
    work.staging.broken = False
    assert (await swept(work), await work.objects()) == ([], 0)
    work, _ = await one(database)
    await later(work, "interval '8 days'")
    work.staging.broken = True
    assert await swept(work) == []


async def test_what_is_completed_just_now_is_not_cleared_away(database: Database) -> None:
    """Its row was taken by a sweep, which then is slow."""
    work, _ = await one(database)
    await later(work, "interval '121 min'")

    class Slow(MemoryStore):
        async def discard(self, paths: Sequence[str]) -> list[str]:
            await work.complete(database, work.staging)
            return await work.staging.discard(paths)

    await uploads.sweep(database, lambda _: Slow())
    rows = await work.dataset.rows("SELECT key, finished_at IS NOT NULL, cleared FROM upload")
    assert [tuple(row) for row in rows] == [("a", True, False)]
    assert await work.dataset.labels() == {"a.png": ["cat"]}


async def test_a_purge_clears_away_what_is_staged(database: Database) -> None:
    work, _ = await one(database)
    await work.dataset.do("UPDATE dataset SET deleted_at = now()")
    async with database.writing() as session:
        await jobs.enqueue(session, work.dataset.dataset_id, "PURGE", requested_by="ann")
    claim = await jobs.claim(database, 7)
    assert claim is not None
    await purge.run(database, claim, lambda _: work.staging)
    assert (await work.dataset.rows("SELECT FROM upload"), await work.objects()) == ([], 0)


async def test_a_store_that_fails_leaves_the_upload_open(database: Database) -> None:
    work, _ = await one(database)

    class Away(MemoryStore):
        async def heads(self, paths: Sequence[str], *, length: int) -> list[Any]:
            return [RootMissing() for _ in paths]

    [result] = (await work.complete(database, Away())).results
    assert (result.code, result.sample) == ("STORAGE_ERROR", None)
    [result] = (await work.complete(database, work.staging)).results
    assert (result.code, result.sample is None) == (None, False)


async def test_a_database_that_is_busy_leaves_the_upload_open(database: Database) -> None:
    """While another path is looked for, since another file is at the first."""
    work, _ = await one(database)
    work.dataset.put("a.png", b"a stranger's")
    async with engine.connect(database.url, replace(LIMITS, lock=0.01)) as impatient:
        async with database.writing() as session:
            await lock_names(session, work.dataset.dataset_id)
            [result] = (await work.complete(impatient, work.staging)).results
        assert (result.code, result.sample) == ("UNAVAILABLE", None)
        [result] = (await work.complete(impatient, work.staging)).results
    assert await work.dataset.labels() == {"a-1.png": ["cat"]}


@pytest.mark.parametrize("on_conflict", ["ERROR", "RENAME"])
async def test_a_thousand_files_cost_no_more_statements_than_one(
    database: Database, on_conflict: uploads.OnConflict
) -> None:
    dataset = await dataset_fixture.memory(database)

    async def cost(many: int) -> int:
        files = {f"k{n}": (RequestedFile(f"k{n}", f"{n}.png", 9, ["dog"]), b"") for n in range(many)}
        asked = Work(dataset, files, on_conflict).asked()
        return await statements(database, lambda session: uploads.request(session, dataset.dataset_id, asked, by=ANN))

    await cost(1)  # a connection looks up types once
    assert await cost(1) == await cost(1_000) <= 12


async def test_a_completion_waits_for_no_label_of_its_sample_while_it_holds_the_dataset(database: Database) -> None:
    """Labelling locks samples first, the dataset's row last: in the other order both would wait for ever."""
    work, _ = await one(database)
    stores, id = cast(Stores, Shelf(work.staging)), work.dataset.dataset_id
    arrived = await uploads.inspect(database, stores, id, ["a"], checks=Checks(), by=ANN)
    await work.dataset.sync()  # meets the object, and is faster
    sample = (await work.dataset.sample("a.png"))["id"]
    how = LabelWith(labels=["dog"], mode="ADD", create_missing=True)
    async with database.writing() as session:
        await lock_samples(session, id, Selection(ids=[sample]))
        completing = asyncio.create_task(_once(database, lambda own: uploads.complete(own, id, arrived, by=ANN)))
        await until_blocked(database)
        await label(session, id, Selection(ids=[sample]), how, by=ANN)
    assert [result.sample for result in (await completing).results] == [sample]
    assert await work.dataset.labels() == {"a.png": ["cat", "dog"]}


async def _once(database: Database, work: Callable[[AsyncSession], Awaitable[Uploaded]]) -> Uploaded:
    """Nothing is done again, as a unit would do it that a deadlock undid."""
    async with database.writing() as session:
        return await work(session)


async def test_a_completion_writes_in_sets(database: Database) -> None:
    dataset = await dataset_fixture.memory(database)

    async def cost(many: int) -> int:
        files = {f"{many}-{n}": image_bytes() for n in range(many)}
        work = Work(dataset, {k: (RequestedFile(k, f"{k}.png", len(d), ["dog"]), d) for k, d in files.items()})
        await work.put(await work.request(database))
        stores = cast(Stores, Shelf(work.staging))
        arrived = await uploads.inspect(database, stores, dataset.dataset_id, list(files), checks=Checks(), by=ANN)
        return await statements(
            database, lambda session: uploads.complete(session, dataset.dataset_id, arrived, by=ANN)
        )

    await cost(1)  # the driver asks for the types that it has not met
    assert await cost(2) == await cost(150) <= 24


@pytest.mark.parametrize("is_bucket", [False, True])
async def test_a_verdict_on_an_earlier_file_does_not_end_a_later_request_of_its_key(
    database: Database, is_bucket: bool
) -> None:
    """A completion waits after it looked; in between its key is ended, requested again and filled again. The URLs of a
    bucket are valid until they expire."""
    work, requested = await one(database)
    good = work.files["a"]
    work.files["a"] = (good[0], b"x" * good[0].size)
    await work.put(requested)
    stores, id = cast(Stores, Shelf(work.staging)), work.dataset.dataset_id
    slow = await uploads.inspect(database, stores, id, ["a"], checks=Checks(), by=ANN)
    [result] = (await work.complete(database, work.staging)).results
    assert (result.code, result.ended) == ("UNSUPPORTED_FORMAT", True)
    if is_bucket:
        await work.dataset.do("UPDATE upload SET expires_at = now() + interval '1 hour'")
    work.files["a"] = good
    await work.put(await work.request(database))
    [late] = (await _once(database, lambda session: uploads.complete(session, id, slow, by=ANN))).results
    assert (late.code, late.ended) == ("CONFLICT", False)
    [result] = (await work.complete(database, work.staging)).results
    assert (result.code, result.sample is None) == (None, False)
