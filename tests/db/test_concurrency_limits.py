"""Throttling and sharing between thousands of subscribers that wake at once."""

import asyncio
from functools import partial

import pytest

from db.concurrency_limits import LoopThrottle, SharedReads
from tests.waiting import wait_until


async def test_a_throttle_resumes_few_tasks_in_each_iteration_in_order() -> None:
    throttle, resumed, counts = LoopThrottle(3), list[int](), list[int]()

    async def one(number: int) -> None:
        await throttle.wait()
        resumed.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(100)]
    while len(resumed) < 100:
        before = len(resumed)
        await asyncio.sleep(0)
        counts.append(len(resumed) - before)
    assert resumed == list(range(100))
    assert max(counts) <= 3
    await asyncio.gather(*tasks)


async def test_a_canceled_task_holds_up_nobody() -> None:
    throttle = LoopThrottle(1)
    tasks = [asyncio.create_task(throttle.wait()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[1:9]:
        task.cancel()
    await asyncio.wait_for(tasks[9], 60)


async def test_what_many_request_is_read_once() -> None:
    reads, count = SharedReads(), 0

    async def read() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0)
        return count

    assert await asyncio.gather(*(reads.get("ann", "a", read) for _ in range(100))) == [1] * 100
    assert await reads.get("ann", "a", read) == 2, "without a ttl it is read again"
    assert await reads.get("ann", "b", read, ttl=60) == 3
    assert await reads.get("ann", "b", read, ttl=60) == 3


async def test_few_keys_are_read_at_once() -> None:
    reads, running, highest = SharedReads(2), 0, 0

    async def read() -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1

    await asyncio.gather(*(reads.get(number % 7, number, read) for number in range(20)))
    assert highest == 2


async def test_whoever_requests_many_reads_delays_another_by_one() -> None:
    reads, done = SharedReads(), list[str]()

    async def read(owner: str) -> None:
        await asyncio.sleep(0)
        done.append(owner)

    many = [asyncio.create_task(reads.get("ann", number, partial(read, "ann"))) for number in range(100)]
    await asyncio.sleep(0)
    await reads.get("bob", 0, partial(read, "bob"))
    assert len(done) < 10
    await asyncio.gather(*many)


async def test_a_read_that_has_not_begun_is_dropped_with_its_last_caller() -> None:
    reads, resume, begun = SharedReads(), asyncio.Event(), list[int]()

    async def read(number: int) -> int:
        begun.append(number)
        await resume.wait()
        return number

    callers = [asyncio.create_task(reads.get("ann", number // 2, partial(read, number // 2))) for number in range(200)]
    await wait_until(lambda: len(begun) == 2)
    for caller in callers[6:] + callers[4:5]:  # of the third read one caller stays
        caller.cancel()
    await asyncio.gather(*callers[6:], return_exceptions=True)
    again = asyncio.create_task(reads.get("ann", 99, partial(read, 99)))
    resume.set()
    assert await asyncio.gather(*callers[:4], callers[5], again) == [0, 0, 1, 1, 2, 99]
    assert begun == [0, 1, 2, 99]


async def test_a_canceled_caller_cancels_no_read_and_a_failure_is_not_kept() -> None:
    reads, resume = SharedReads(), asyncio.Event()

    async def read() -> str:
        await resume.wait()
        return "read"

    async def fail() -> str:
        raise RuntimeError("no")

    first, second = (asyncio.create_task(reads.get("ann", "a", read)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    resume.set()
    assert await second == "read"
    with pytest.raises(RuntimeError):
        await reads.get("ann", "b", fail, ttl=60)
    assert await reads.get("ann", "b", read, ttl=60) == "read"
