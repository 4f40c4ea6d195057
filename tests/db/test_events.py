"""Subscriptions to jobs and datasets: from any process, through lost notifications and lost connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from db import jobs
from db.jobs import events
from db.jobs.queue import notify
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import WORKER, DatasetFixture
from tests.db.test_sync_together import fill
from tests.waiting import TIMEOUT, wait_until

LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


@pytest.fixture
async def dataset(database: Database) -> DatasetFixture:
    return await dataset_fixture.memory(database)


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives has arrived by a notification."""
    monkeypatch.setattr(events, "POLL", 10 * TIMEOUT)


async def soon(steps: AsyncGenerator[int, None]) -> int:
    return await asyncio.wait_for(anext(steps), TIMEOUT)


async def listeners(dataset: DatasetFixture, number: int = 1) -> list[int]:
    """So many connections listen."""

    async def pids() -> list[int]:
        return [row["pid"] for row in await dataset.rows(LISTENING)]

    async def are_there() -> bool:
        return len(await pids()) == number

    await wait_until(are_there)
    return await pids()


async def notify_of_dataset(dataset: DatasetFixture) -> None:
    async with dataset.database.reading() as connection:
        await notify(connection, "dataset", dataset.dataset_id)


async def bump(dataset: DatasetFixture, job_id: int, *, notified: bool = True) -> None:
    await dataset.do("UPDATE job SET step = step + 1 WHERE id = $1", job_id)
    if notified:
        async with dataset.database.reading() as connection:
            await notify(connection, "job", job_id)


@pytest.mark.usefixtures("no_polls")
async def test_gives_the_state_first_and_every_step_after(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as steps,
    ):
        first = await soon(steps)
        await listeners(dataset)
        await bump(dataset, job_id)
        assert await soon(steps) == first + 1


async def test_ends_with_the_job(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with events.listening(dataset.database) as subscriptions:
        following = subscriptions.steps("job", job_id)
        await soon(following)
        await dataset.work(job_id)
        steps = await asyncio.wait_for(_all(following), TIMEOUT)
        assert steps[-1] == (await dataset.job(job_id))["step"]
        assert await asyncio.wait_for(_all(subscriptions.steps("job", job_id)), TIMEOUT) == steps[-1:]
        assert await asyncio.wait_for(_all(subscriptions.steps("job", 999_999)), TIMEOUT) == []


async def _all(steps: AsyncGenerator[int, None]) -> list[int]:
    return [step async for step in steps]


async def test_a_lost_notification_costs_one_poll(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as steps,
    ):
        first = await soon(steps)
        await bump(dataset, job_id, notified=False)
        assert await soon(steps) == first + 1


async def test_a_lost_notification_costs_one_poll_however_often_others_arrive(
    dataset: DatasetFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, busy = await dataset.start(), 0.1
    monkeypatch.setattr(events, "POLL", 10 * busy)
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as steps,
    ):

        async def keep_busy() -> None:
            while True:
                subscriptions.dataset_changed(dataset.dataset_id)
                await asyncio.sleep(busy)

        first, others = await soon(steps), asyncio.create_task(keep_busy())
        await bump(dataset, job_id, notified=False)
        assert await soon(steps) == first + 1
        others.cancel()


@pytest.mark.usefixtures("no_polls")
async def test_a_lost_connection_is_opened_again(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as steps,
    ):
        first = await soon(steps)
        [lost] = await listeners(dataset)
        await dataset.do("SELECT pg_terminate_backend($1)", lost)
        await bump(dataset, job_id)
        assert await soon(steps) == first + 1
        assert await listeners(dataset) != [lost]
        await bump(dataset, job_id)
        assert await soon(steps) == first + 2


async def test_a_slow_subscriber_gets_the_latest_state_and_delays_nobody(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as slow,
        aclosing(subscriptions.steps("job", job_id)) as quick,
    ):
        first = await soon(slow)
        await soon(quick)
        for number in range(1, 5):
            await bump(dataset, job_id)
            assert await soon(quick) == first + number
        assert await soon(slow) == first + 4


async def test_a_subscriber_to_a_dataset_gets_its_revisions(dataset: DatasetFixture) -> None:
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("dataset", dataset.dataset_id)) as steps,
    ):
        assert await soon(steps) == 0
        fill(dataset, 3)
        await dataset.sync()
        await notify_of_dataset(dataset)
        assert await soon(steps) == 1
        await dataset.do("UPDATE dataset SET deleted_at = now()")
        await notify_of_dataset(dataset)
        assert set(await asyncio.wait_for(_all(steps), TIMEOUT)) <= {1}


async def test_topics_without_subscribers_are_dropped(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with events.listening(dataset.database) as subscriptions:
        async with aclosing(subscriptions.steps("job", job_id)) as steps:
            await soon(steps)
        assert subscriptions._topics == {}
        subscriptions.on_notification("job:x")
        subscriptions.on_notification("nonsense")
        subscriptions.on_notification("job:" + "9" * 30)


async def test_a_claim_and_an_end_reach_subscribers(dataset: DatasetFixture) -> None:
    job_id = await dataset.start()
    async with (
        events.listening(dataset.database) as subscriptions,
        aclosing(subscriptions.steps("job", job_id)) as steps,
    ):
        await soon(steps)
        claim = await jobs.claim(dataset.database, WORKER)
        assert claim is not None
        await soon(steps)
        await jobs.finish(dataset.database, claim, "SUCCEEDED")
        await soon(steps)
        with pytest.raises(StopAsyncIteration):
            await soon(steps)


@pytest.mark.usefixtures("no_polls")
async def test_a_change_committed_in_one_process_reaches_another_before_its_poll(dataset: DatasetFixture) -> None:
    async with events.listening(dataset.database) as here, events.listening(dataset.database) as there:
        steps = there.steps("dataset", dataset.dataset_id)
        assert await soon(steps) == 0
        await listeners(dataset, 2)
        await dataset.do(f"UPDATE dataset SET revision = 1 WHERE id = {dataset.dataset_id}")
        here.dataset_changed(dataset.dataset_id)
        assert await soon(steps) == 1
        await steps.aclose()


async def test_the_reader_ends_though_it_is_woken_in_the_moment_it_is_canceled(database: Database) -> None:
    of_process = events.Events(database)
    reader = asyncio.create_task(of_process.read_forever())
    await asyncio.sleep(0)
    of_process._wake.set()
    await asyncio.sleep(0)
    reader.cancel()
    done, _ = await asyncio.wait([reader], timeout=TIMEOUT)
    assert done
