"""Following jobs and datasets: from any process, through lost notices and lost connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from db import jobs
from db.jobs import events
from db.jobs.notices import TOPIC, announce
from db.postgres.engine import Database
from tests.db import world
from tests.db.test_sync_together import fill
from tests.db.world import WORKER, World
from tests.patience import PATIENCE, until

LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@pytest.fixture
async def place(database: Database) -> World:
    return await world.memory(database)


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard is heard by a notice."""
    monkeypatch.setattr(events, "POLL", 10 * PATIENCE)


async def soon(steps: AsyncGenerator[int, None]) -> int:
    return await asyncio.wait_for(anext(steps), PATIENCE)


async def listeners(place: World, number: int = 1) -> list[int]:
    """So many connections listen."""

    async def found() -> list[int]:
        return [row["pid"] for row in await place.rows(LISTENING)]

    async def are_there() -> bool:
        return len(await found()) == number

    await until(are_there)
    return await found()


async def bump(place: World, job_id: int, *, tell: bool = True) -> None:
    await place.do("UPDATE job SET step = step + 1 WHERE id = $1", job_id)
    if tell:
        async with place.database.reading() as connection:
            await announce(connection, TOPIC.job(job_id))


@pytest.mark.usefixtures("no_polls")
async def test_gives_the_state_first_and_every_step_after(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        await listeners(place)
        await bump(place, job_id)
        assert await soon(steps) == first + 1


async def test_ends_with_the_job(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard:
        following = heard.job_steps(job_id)
        await soon(following)
        await place.work(job_id)
        steps = await asyncio.wait_for(_all(following), PATIENCE)
        assert steps[-1] == (await place.job(job_id))["step"]
        assert await asyncio.wait_for(_all(heard.job_steps(job_id)), PATIENCE) == steps[-1:]
        assert await asyncio.wait_for(_all(heard.job_steps(999_999)), PATIENCE) == []


async def _all(steps: AsyncGenerator[int, None]) -> list[int]:
    return [step async for step in steps]


async def test_a_lost_notice_costs_a_moment(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        await bump(place, job_id, tell=False)
        assert await soon(steps) == first + 1


@pytest.mark.usefixtures("no_polls")
async def test_a_lost_connection_is_made_again(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as heard, aclosing(heard.job_steps(job_id)) as steps:
        first = await soon(steps)
        [lost] = await listeners(place)
        await place.do("SELECT pg_terminate_backend($1)", lost)
        await bump(place, job_id)
        assert await soon(steps) == first + 1
        assert await listeners(place) != [lost]
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
    async with events.listening(place.database) as heard, aclosing(heard.dataset_steps(place.dataset_id)) as steps:
        assert await soon(steps) == 0
        fill(place, 3)
        await place.sync()
        await events.announce_change(place.database, place.dataset_id)
        assert await soon(steps) == 1
        await place.do("UPDATE dataset SET deleted_at = now()")
        await events.announce_change(place.database, place.dataset_id)
        assert set(await asyncio.wait_for(_all(steps), PATIENCE)) <= {1}


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


@pytest.mark.usefixtures("no_polls")
async def test_a_change_committed_in_one_process_is_heard_in_another_before_the_poll(place: World) -> None:
    async with events.listening(place.database) as here, events.listening(place.database) as there:
        steps = there.dataset_steps(place.dataset_id)
        assert await soon(steps) == 0
        await listeners(place, 2)
        await place.do(f"UPDATE dataset SET revision = 1 WHERE id = {place.dataset_id}")
        here.changed(place.dataset_id)
        assert await soon(steps) == 1
        await steps.aclose()
