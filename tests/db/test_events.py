"""Subscriptions to jobs and datasets: from any process, through lost notifications and lost connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from db import jobs
from db.jobs import events
from db.jobs.notifications import notify_dataset, notify_job
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
    """What arrives has arrived by a notification."""
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


async def notify_of_dataset(place: World) -> None:
    async with place.database.reading() as connection:
        await notify_dataset(connection, place.dataset_id)


async def bump(place: World, job_id: int, *, notify: bool = True) -> None:
    await place.do("UPDATE job SET step = step + 1 WHERE id = $1", job_id)
    if notify:
        async with place.database.reading() as connection:
            await notify_job(connection, job_id)


@pytest.mark.usefixtures("no_polls")
async def test_gives_the_state_first_and_every_step_after(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions, aclosing(subscriptions.job_steps(job_id)) as steps:
        first = await soon(steps)
        await listeners(place)
        await bump(place, job_id)
        assert await soon(steps) == first + 1


async def test_ends_with_the_job(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions:
        following = subscriptions.job_steps(job_id)
        await soon(following)
        await place.work(job_id)
        steps = await asyncio.wait_for(_all(following), PATIENCE)
        assert steps[-1] == (await place.job(job_id))["step"]
        assert await asyncio.wait_for(_all(subscriptions.job_steps(job_id)), PATIENCE) == steps[-1:]
        assert await asyncio.wait_for(_all(subscriptions.job_steps(999_999)), PATIENCE) == []


async def _all(steps: AsyncGenerator[int, None]) -> list[int]:
    return [step async for step in steps]


async def test_a_lost_notification_costs_one_poll(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions, aclosing(subscriptions.job_steps(job_id)) as steps:
        first = await soon(steps)
        await bump(place, job_id, notify=False)
        assert await soon(steps) == first + 1


@pytest.mark.usefixtures("no_polls")
async def test_a_lost_connection_is_opened_again(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions, aclosing(subscriptions.job_steps(job_id)) as steps:
        first = await soon(steps)
        [lost] = await listeners(place)
        await place.do("SELECT pg_terminate_backend($1)", lost)
        await bump(place, job_id)
        assert await soon(steps) == first + 1
        assert await listeners(place) != [lost]
        await bump(place, job_id)
        assert await soon(steps) == first + 2


async def test_a_slow_subscriber_gets_the_latest_state_and_delays_nobody(place: World) -> None:
    job_id = await place.start()
    async with (
        events.listening(place.database) as subscriptions,
        aclosing(subscriptions.job_steps(job_id)) as slow,
        aclosing(subscriptions.job_steps(job_id)) as quick,
    ):
        first = await soon(slow)
        await soon(quick)
        for number in range(1, 5):
            await bump(place, job_id)
            assert await soon(quick) == first + number
        assert await soon(slow) == first + 4


async def test_a_subscriber_to_a_dataset_gets_its_revisions(place: World) -> None:
    async with (
        events.listening(place.database) as subscriptions,
        aclosing(subscriptions.dataset_steps(place.dataset_id)) as steps,
    ):
        assert await soon(steps) == 0
        fill(place, 3)
        await place.sync()
        await notify_of_dataset(place)
        assert await soon(steps) == 1
        await place.do("UPDATE dataset SET deleted_at = now()")
        await notify_of_dataset(place)
        assert set(await asyncio.wait_for(_all(steps), PATIENCE)) <= {1}


async def test_topics_without_subscribers_are_dropped(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions:
        async with aclosing(subscriptions.job_steps(job_id)) as steps:
            await soon(steps)
        assert subscriptions._topics == {}
        subscriptions.on_notification("job:x")
        subscriptions.on_notification("nonsense")
        subscriptions.on_notification("job:" + "9" * 30)


async def test_a_claim_and_an_end_reach_subscribers(place: World) -> None:
    job_id = await place.start()
    async with events.listening(place.database) as subscriptions, aclosing(subscriptions.job_steps(job_id)) as steps:
        await soon(steps)
        claim = await jobs.claim(place.database, job_id, WORKER)
        assert claim is not None
        await soon(steps)
        await jobs.finish(place.database, claim, "SUCCEEDED")
        await soon(steps)
        with pytest.raises(StopAsyncIteration):
            await soon(steps)


@pytest.mark.usefixtures("no_polls")
async def test_a_change_committed_in_one_process_reaches_another_before_its_poll(place: World) -> None:
    async with events.listening(place.database) as here, events.listening(place.database) as there:
        steps = there.dataset_steps(place.dataset_id)
        assert await soon(steps) == 0
        await listeners(place, 2)
        await place.do(f"UPDATE dataset SET revision = 1 WHERE id = {place.dataset_id}")
        here.dataset_changed(place.dataset_id)
        assert await soon(steps) == 1
        await steps.aclose()
