"""Crowds of subscribers: what they share, and how few of them run at once."""

import asyncio

import pytest

from db.jobs.crowds import SharedReads, Turnstile


async def test_a_turnstile_lets_few_pass_in_a_turn_of_the_loop_in_order() -> None:
    turnstile, passed, turns = Turnstile(3), list[int](), list[int]()

    async def one(number: int) -> None:
        await turnstile.enter()
        passed.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(100)]
    while len(passed) < 100:
        before = len(passed)
        await asyncio.sleep(0)
        turns.append(len(passed) - before)
    assert passed == list(range(100))
    assert max(turns) <= 3
    await asyncio.gather(*tasks)


async def test_who_leaves_holds_up_nobody() -> None:
    turnstile = Turnstile(1)
    tasks = [asyncio.create_task(turnstile.enter()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[1:9]:
        task.cancel()
    await asyncio.wait_for(tasks[9], 60)


async def test_what_many_ask_is_read_once() -> None:
    reads, count = SharedReads(), 0

    async def read() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0)
        return count

    assert await asyncio.gather(*(reads.get("a", read) for _ in range(100))) == [1] * 100
    assert await reads.get("a", read) == 2, "what is not kept is read anew"
    assert await reads.get("b", read, kept=60) == 3
    assert await reads.get("b", read, kept=60) == 3


async def test_few_things_are_read_at_once() -> None:
    reads, running, most = SharedReads(2), 0, 0

    async def read() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await asyncio.gather(*(reads.get(number, read) for number in range(20)))
    assert most == 2


async def test_one_who_gives_up_spoils_nothing_and_a_failure_is_not_kept() -> None:
    reads, go_on = SharedReads(), asyncio.Event()

    async def read() -> str:
        await go_on.wait()
        return "read"

    async def fail() -> str:
        raise RuntimeError("no")

    first, second = (asyncio.create_task(reads.get("a", read)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go_on.set()
    assert await second == "read"
    with pytest.raises(RuntimeError):
        await reads.get("b", fail, kept=60)
    assert await reads.get("b", read, kept=60) == "read"
