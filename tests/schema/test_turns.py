"""Costly reads take turns, so that others find a connection."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from random import Random

from db.turns import Turns
from tests.patience import until
from tests.schema.reading import Library

FILTERED = "{ datasets { nodes { samples(filter: {hard: true}) { nodes { id } } } } }"
COUNTED = "{ datasets { nodes { changes { totalCount } } } }"
LISTED = "{ datasets { nodes { labels { name } } } }"


async def test_no_more_than_so_many_go_at_once_and_of_one_owner_so_many() -> None:
    turns, random = Turns(3, each=2), Random(7)
    running: Counter[int] = Counter()
    highest: Counter[str] = Counter()

    async def work(owner: int) -> None:
        async with turns.turn(owner):
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
    async with asyncio.timeout(60), turns.turn(1), turns.turn(1), turns.turn(2):  # none was lost
        pass


async def test_costly_reads_wait_for_their_turn_and_others_do_not(library: Library) -> None:
    turns = library.database.turns
    for source in (FILTERED, COUNTED, LISTED):
        async with AsyncExitStack() as held:
            for owner in ("a", "a", "b", "b"):
                await held.enter_async_context(turns.turn(owner))
            waiting = asyncio.create_task(library.data(source))
            await until(lambda: 1 in turns._users)  # the token of whoever asks
            assert await library.data('{ node(id: "Sample:1") { id } }')
            assert await library.data("{ datasets { nodes { samples { nodes { id labels { name } } } } } }")
            assert not waiting.done()
        assert await waiting


async def test_one_token_leaves_turns_for_others(library: Library) -> None:
    turns = library.database.turns
    async with AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(turns.turn("somebody"))
        assert await library.data(FILTERED)
