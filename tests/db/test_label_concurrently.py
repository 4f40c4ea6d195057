"""Many label one dataset at once, while others write it, and connections are lost: two transactions at a time, of which
the second does not wait for the first."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Batch, Batches, WrongAnnouncement
from db.errors import Conflict, Unavailable
from db.history import versions
from db.history.transactions import write
from db.history.undo import undo
from db.labelling.samples.label import LabelWith, Mode
from db.labelling.samples.label_together import label_together
from db.labelling.samples.selection import Selection
from db.labelling.samples.update import update
from db.postgres.engine import Database
from tests.db.dataset_rows import ANN, DatasetRows, make, names, wrong

MODES: Final[Sequence[Mode]] = ("ADD", "ADD", "SET", "REMOVE")
GAPS = """
SELECT id, since FROM sample_past p WHERE NOT EXISTS (SELECT FROM sample_past n WHERE n.id = p.id AND n.since = p.until)
AND NOT EXISTS (SELECT FROM sample s WHERE s.id = p.id AND s.since = p.until)
"""
HIDDEN = """
SELECT p.id FROM sample_past p JOIN version v ON v.dataset_id = p.dataset_id AND v.revision >= p.since
AND v.revision < p.until WHERE NOT p.published
"""
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND query NOT LIKE '%pg_terminate%'
LIMIT 1
"""


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_lost_whatever_meets(database: Database, seed: int) -> None:
    pets = await make(database, samples=60, labels=("cat", "dog", "cow", "fox"))
    before = await names(database, pets.id)
    ended = asyncio.Event()
    disturbing = asyncio.create_task(_disturb(database, pets, random.Random(seed), ended))
    await asyncio.gather(*(_label(database, pets, random.Random(f"{seed} {number}")) for number in range(12)))
    ended.set()
    await disturbing

    assert await wrong(database, pets.id) == []
    async with database.reading() as reader:
        changes = await reader.fetch("SELECT id, revision, at FROM change ORDER BY revision")
        assert [row["revision"] for row in changes] == list(range(1, len(changes) + 1))
        assert await reader.fetchval("SELECT max(revision) FROM dataset") == len(changes)
        assert [row["at"] for row in changes] == sorted(row["at"] for row in changes)
        assert await reader.fetch(GAPS) == []
        assert await reader.fetch(HIDDEN) == []
    for change in reversed(changes[1:]):
        await write(database, partial(undo, change_id=change["id"], by=ANN), object)
    assert await names(database, pets.id) == before
    assert await wrong(database, pets.id) == []


async def _label(database: Database, pets: DatasetRows, chance: random.Random) -> None:
    for _ in range(8):
        selection = Selection(ids=chance.sample(pets.samples, chance.choice((1, 2, 5))))
        how = LabelWith(labels=chance.sample(list(pets.labels), chance.choice((1, 2))), mode=chance.choice(MODES))
        with suppress(Unavailable):  # its connection was lost
            await label_together(database, pets.id, selection, how, by=ANN)


async def _disturb(database: Database, pets: DatasetRows, chance: random.Random, ended: asyncio.Event) -> None:
    """Others write, publish, and lose connections, until all has ended."""

    async def mark(session: AsyncSession) -> object:
        selection = Selection(ids=chance.sample(pets.samples, 3))
        return await update(session, pets.id, selection, {"hard": chance.random() < 0.5}, by=ANN)

    async def publish(session: AsyncSession) -> object:
        return await versions.publish(session, pets.id, by=ANN)

    while not ended.is_set():
        for disturbance in (mark, publish):
            await asyncio.sleep(0.05)
            with suppress(Unavailable, Conflict):
                await write(database, disturbance, object)
        async with database.reading() as reader:
            await reader.execute(KILL)


# -- Batches ----------------------------------------------------------------------------------------------------------


async def test_a_call_begins_when_the_one_before_has_announced_what_it_leaves() -> None:
    batches, log, go = Batches(16), list[str](), asyncio.Event()

    async def work(batch: Batch[str, str]) -> None:
        items = "".join(entry.item for entry in batch.entries)
        log.append(f"{items} after {batch.announced}")
        batch.announce(items)
        await go.wait()
        for entry in batch.entries:
            entry.result.set_result(items)

    doing = [asyncio.create_task(batches.do("key", item, work)) for item in "abcdefg"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert log == ["abcd after None", "efg after abcd"], "half of what is there"
    go.set()
    assert await asyncio.gather(*doing) == ["abcd"] * 4 + ["efg"] * 3
    assert not batches._queues


async def test_what_needs_the_same_is_done_in_turn() -> None:
    batches, log = Batches(16), list[str]()

    async def work(batch: Batch[str, str]) -> None:
        items = "".join(entry.item for entry in batch.entries)
        log.append(f"{items} begins")
        batch.announce(items)
        await asyncio.sleep(0.01)
        log.append(f"{items} ends")
        for entry in batch.entries:
            entry.result.set_result(items)

    needs = {"a": "1", "b": "12", "c": "23", "d": "3"}
    await asyncio.gather(*(batches.do("key", item, work, needs=needs[item]) for item in needs))
    assert log == ["ab begins", "ab ends", "c begins", "c ends", "d begins", "d ends"]


async def test_what_failed_by_an_announcement_is_done_again_and_for_a_while_one_after_the_other() -> None:
    batches, log = Batches(1), list[tuple[str, Any]]()

    async def work(batch: Batch[str, str]) -> None:
        [entry], announced = batch.entries, batch.announced
        log.append((entry.item, announced))
        batch.announce(entry.item)
        await asyncio.sleep(0.01)
        if announced is not None:
            raise WrongAnnouncement
        entry.result.set_result(entry.item)

    assert await asyncio.gather(*(batches.do("key", item, work) for item in "abcd")) == list("abcd")
    assert log[:2] == [("a", None), ("b", "a")]
    assert sorted(log[2:]) == [("b", None), ("c", None), ("d", None)]


async def test_calls_that_announce_nothing_do_all_that_is_there() -> None:
    batches, log = Batches(16), list[str]()

    async def work(batch: Batch[str, str]) -> None:
        log.append("".join(entry.item for entry in batch.entries))
        await asyncio.sleep(0.01)
        for entry in batch.entries:
            entry.result.set_result(entry.item)

    assert await asyncio.gather(*(batches.do("key", item, work) for item in "abcdefg")) == list("abcdefg")
    assert log == ["abcd", "efg"], "nobody knew yet"


async def test_a_failure_is_that_of_its_items_and_those_that_left_are_left_out() -> None:
    batches, done = Batches(16), list[str]()

    async def work(batch: Batch[str, str]) -> None:
        await asyncio.sleep(0.01)
        done.extend(entry.item for entry in batch.entries)
        if "a" in done[-len(batch.entries) :]:
            raise ValueError
        for entry in batch.entries:
            entry.result.set_result(entry.item)

    first = asyncio.create_task(batches.do("key", "a", work))
    await asyncio.sleep(0)
    left, second = (asyncio.create_task(batches.do("key", item, work)) for item in "bc")
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(ValueError):
        await first
    assert await second == "c"
    assert done == ["a", "c"]
