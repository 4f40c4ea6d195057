"""Following jobs and datasets: from any process, through lost notices and lost connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from db import events, jobs
from db.engine import Database
from db.jobs.notices import TOPIC, announce
from tests.db import world
from tests.db.test_sync_together import fill
from tests.db.world import WORKER, World


@pytest.fixture
async def place(database: Database) -> World:
    return await world.memory(database)


async def soon(steps: AsyncGenerator[int, None], *, within: float = 1.5) -> int:
    return await asyncio.wait_for(anext(steps), within)


async def bump(place: World, job_id: int, *, tell: bool = True) -> None:
    await place.do("UPDATE job SET step = step + 1 WHERE id = $1", job_id)
    if tell:
        async with place.database.reading() as connection:
            await announce(connection, TOPIC.job(job_id))


async def test_gives_the_state_first_and_every_step_after(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        await asyncio.sleep(0.2)
        await bump(place, job_id)
        assert await soon(steps, within=1.5) == first + 1


async def test_ends_with_the_job(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard:
        following = asyncio.create_task(_all(heard.job_steps(job_id)))
        await asyncio.sleep(0.1)
        await place.work(job_id)
        steps = await asyncio.wait_for(following, 5)
        assert steps[-1] == (await place.job(job_id))["step"]
        assert await asyncio.wait_for(_all(heard.job_steps(job_id)), 5) == steps[-1:]
        assert await asyncio.wait_for(_all(heard.job_steps(999_999)), 5) == []


async def _all(steps: AsyncGenerator[int, None]) -> list[int]:
    return [step async for step in steps]


async def test_a_lost_notice_costs_a_moment(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        await bump(place, job_id, tell=False)
        assert await soon(steps, within=events.POLL * 2) == first + 1


async def test_a_lost_connection_is_made_again(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL", 60.0)
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        await asyncio.sleep(0.3)
        await place.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        await bump(place, job_id)
        assert await soon(steps, within=5) == first + 1
        await asyncio.sleep(0.3)
        await bump(place, job_id)
        assert await soon(steps) == first + 2


async def test_a_slow_reader_is_given_the_latest_and_holds_nobody_up(place: World) -> None:
    job_id = await place.start()
    async with (
        events.listening(place.database) as heard,
        aclosing(heard.job_steps(job_id)) as slow,
        aclosing(heard.job_steps(job_id)) as quick,
    ):
        first = await soon(slow)
        await soon(quick)
        for number in range(1, 5):
            await bump(place, job_id)
            assert await soon(quick) == first + number
        assert await soon(slow) == first + 4


async def test_a_dataset_is_followed_by_its_revision(place: World) -> None:
    async with events.listening(place.database) as heard:
        following = asyncio.create_task(_all(heard.dataset_steps(place.dataset_id)))
        await asyncio.sleep(0.1)
        fill(place, 3)
        await place.sync()
        await events.announce_change(place.database, place.dataset_id)
        await asyncio.sleep(0.3)
        await place.do("UPDATE dataset SET deleted_at = now()")
        await events.announce_change(place.database, place.dataset_id)
        revisions = await asyncio.wait_for(following, 5)
    assert (revisions[0], revisions[-1]) == (0, 1)


async def test_what_nobody_follows_is_forgotten(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard:
        async with aclosing(heard.job_steps(job_id)) as steps:
            await soon(steps)
        assert heard._topics == {}
        heard.heard("job:x")
        heard.heard("nonsense")
        heard.heard("job:" + "9" * 30)


async def test_a_claim_and_an_end_are_heard(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        await soon(steps)
        claim = await jobs.claim(place.database, job_id, WORKER)
        assert claim is not None
        await soon(steps)
        await jobs.finish(place.database, claim, "SUCCEEDED")
        await soon(steps)
        with pytest.raises(StopAsyncIteration):
            await soon(steps)


async def test_a_change_committed_in_one_process_is_heard_in_another_before_the_poll(place: World) -> None:
    async with events.listening(place.database) as here, events.listening(place.database) as there:
        steps = there.dataset_steps(place.dataset_id)
        assert await soon(steps) == 0
        await place.do(f"UPDATE dataset SET revision = 1 WHERE id = {place.dataset_id}")
        here.changed(place.dataset_id)
        async with asyncio.timeout(events.POLL / 2):
            assert await anext(steps) == 1
        await steps.aclose()
