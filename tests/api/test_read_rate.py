"""A token waits for the time that the reading of its requests took."""

import asyncio
import time
from contextlib import suppress

from api.limits.rates import REFUSED_SECONDS, ReadRate
from tests.waiting import TIMEOUT


def compute(seconds: float) -> None:
    ended = time.thread_time() + seconds
    while time.thread_time() < ended:
        pass


async def test_a_token_that_took_much_waits_in_proportion_and_others_do_not() -> None:
    """The share is so small that no pause of this process is long enough to pay for what was taken."""
    rate = ReadRate(share=1e-9, burst=0.0)
    with rate.measure("greedy"):
        compute(0.01)
    assert rate.wait_seconds("greedy") > 0
    assert rate.wait_seconds("quiet") <= 0
    entered = list[str]()

    async def enter(key: str) -> None:
        async with rate.limit(key):
            entered.append(key)

    greedy = asyncio.create_task(enter("greedy"))
    await asyncio.sleep(0)
    await enter("quiet")
    assert entered == ["quiet"]
    greedy.cancel()
    await asyncio.gather(greedy, return_exceptions=True)


async def test_a_refused_request_counts_for_a_while_however_quickly_it_was_refused() -> None:
    rate = ReadRate(share=1e-9, burst=REFUSED_SECONDS / 2)
    with suppress(ValueError), rate.measure("refused"):
        raise ValueError
    assert rate.wait_seconds("refused") > 0


async def test_who_has_waited_long_enough_goes_on() -> None:
    rate = ReadRate(share=1.0, burst=0.0)
    with rate.measure("one"):
        compute(0.01)
    assert rate.wait_seconds("one") < 60
    async with asyncio.timeout(TIMEOUT), rate.limit("one"):
        pass
    assert rate._queues._users == {}


async def test_a_short_burst_is_free() -> None:
    rate = ReadRate(share=0.2, burst=1_000.0)
    with rate.measure("one"):
        compute(0.02)
    assert rate.wait_seconds("one") <= 0


async def test_what_takes_long_is_read_one_after_the_other() -> None:
    rate = ReadRate(share=1.0, burst=1_000.0)
    inside, peak = 0, 0

    async def read() -> None:
        nonlocal inside, peak
        async with rate.limit("one"):
            inside += 1
            peak = max(peak, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(read() for _ in range(20)))
    assert peak == 1


async def test_tokens_that_have_waited_are_forgotten() -> None:
    rate = ReadRate(share=1.0, burst=0.0)
    for key in range(5_000):
        with rate.measure(key):
            pass
    assert len(rate._seconds._spent) <= 1_001
