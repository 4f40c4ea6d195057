"""Costly reads are limited, so that others find a connection."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from random import Random

from db.concurrency_limits import ConcurrencyLimit
from tests.schema.read_fixture import ReadFixture
from tests.waiting import wait_until

FILTERED = "{ datasets { nodes { samples(filter: {isHard: true}) { nodes { id } } } } }"
COUNTED = "{ datasets { nodes { changes { totalCount } } } }"
LISTED = "{ datasets { nodes { labels { name } } } }"


async def test_the_limits_hold_for_all_and_for_each_key() -> None:
    limit, random = ConcurrencyLimit(3, per_key=2), Random(7)
    running: Counter[int] = Counter()
    highest: Counter[str] = Counter()

    async def work(owner: int) -> None:
        async with limit.slot(owner):
            running[owner] += 1
            highest["all"] = max(highest["all"], running.total())
            highest["owner"] = max(highest["owner"], running[owner])
            try:
                for _ in range(random.randrange(5)):
                    await asyncio.sleep(0)
            finally:
                running[owner] -= 1

    tasks = [asyncio.create_task(work(number % 3)) for number in range(200)]
    for task in tasks[::7]:
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert highest == {"all": 3, "owner": 2}
    async with asyncio.timeout(60), limit.slot(1), limit.slot(1), limit.slot(2):  # none was lost
        pass


async def test_who_waits_for_something_else_leaves_the_slot_to_others_of_other_keys() -> None:
    limit, done = ConcurrencyLimit(1, per_key=1), asyncio.Event()

    async def wait(*, canceled: bool) -> None:
        async with limit.slot(1) as slot, slot.left():
            assert (limit.running, limit.waiting) == (0, 1)
            await done.wait()
            assert not canceled

    for canceled in (True, False):
        waiting = asyncio.create_task(wait(canceled=canceled))
        await asyncio.sleep(0)
        assert limit.is_full(1)
        async with limit.slot(2):
            if canceled:
                waiting.cancel()
            else:
                done.set()
            await asyncio.sleep(0)
            assert limit.running == 1
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled() is canceled
        assert (limit.running, limit.waiting, limit.is_full(1)) == (0, 0, False)


async def test_costly_reads_wait_and_others_do_not(reads: ReadFixture) -> None:
    limit = reads.database.costly_reads
    for source in (FILTERED, COUNTED, LISTED):
        async with AsyncExitStack() as slots:
            for owner in ("a", "a", "b", "b"):
                await slots.enter_async_context(limit.slot(owner))
            until_blocked = asyncio.create_task(reads.data(source))
            await wait_until(lambda: 1 in limit._users)  # the token of whoever asks
            assert await reads.data('{ node(id: "Sample:1") { id } }')
            assert await reads.data('{ dataset(by: {id: "Dataset:1"}) { labels { name } } }')
            assert await reads.data("{ datasets { nodes { samples { nodes { id labels { name } } } } } }")
            assert not until_blocked.done()
        assert await until_blocked


async def test_one_token_leaves_slots_for_others(reads: ReadFixture) -> None:
    limit = reads.database.costly_reads
    async with AsyncExitStack() as slots:
        for _ in range(2):
            await slots.enter_async_context(limit.slot("somebody"))
        assert await reads.data(FILTERED)
