"""What one token takes of the interpreter, it gives back by waiting."""

import asyncio
import time
from contextlib import suppress

from api.limits.read_rate import REFUSED_SECONDS, ReadRate
from tests.waiting import TIMEOUT


def compute(seconds: float) -> None:
    ended = time.thread_time() + seconds
    while time.thread_time() < ended:
        pass


async def test_a_token_that_took_much_waits_in_proportion_and_others_do_not() -> None:
    """The share is so small that no pause of this process is long enough to pay for what was taken."""
    pace = ReadRate(share=1e-9, burst=0.0)
    with pace.taking("greedy"):
        compute(0.01)
    assert pace.is_due("greedy")
    assert not pace.is_due("quiet")
    entered = list[str]()

    async def enter(key: str) -> None:
        async with pace.turn(key):
            entered.append(key)

    greedy = asyncio.create_task(enter("greedy"))
    await asyncio.sleep(0)
    await enter("quiet")
    assert entered == ["quiet"]
    greedy.cancel()
    await asyncio.gather(greedy, return_exceptions=True)


async def test_a_refused_request_counts_for_a_while_however_quickly_it_was_refused() -> None:
    pace = ReadRate(share=1e-9, burst=REFUSED_SECONDS / 2)
    with suppress(ValueError), pace.taking("refused"):
        raise ValueError
    assert pace.is_due("refused")


async def test_who_has_waited_long_enough_goes_on() -> None:
    pace = ReadRate(share=1.0, burst=0.0)
    with pace.taking("one"):
        compute(0.01)
    assert pace._debt("one") < 60
    async with asyncio.timeout(TIMEOUT), pace.turn("one"):
        pass
    assert pace._limit._users == {}


async def test_a_short_burst_is_free() -> None:
    pace = ReadRate(share=0.2, burst=1_000.0)
    with pace.taking("one"):
        compute(0.02)
    assert not pace.is_due("one")


async def test_what_takes_long_is_read_one_after_the_other() -> None:
    pace = ReadRate(share=1.0, burst=1_000.0)
    inside, most = 0, 0

    async def read() -> None:
        nonlocal inside, most
        async with pace.turn("one"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(read() for _ in range(20)))
    assert most == 1


async def test_tokens_that_have_waited_are_forgotten() -> None:
    pace = ReadRate(share=1.0, burst=0.0)
    for key in range(5_000):
        with pace.taking(key):
            pass
    assert len(pace._rested) <= 1_001
