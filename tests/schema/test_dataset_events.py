"""`datasetEvents`: everything that happens to a dataset, each once and in order, resumed behind a cursor."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from db import jobs
from db.errors import Invalid, NotFound
from db.jobs import events
from db.postgres import sql
from db.postgres.engine import Database
from db.queries.types.dataset import EVENTS
from schema.execution.messages import Answer, Request
from tests.db.dataset_fixture import WORKER
from tests.db.test_dataset_events import VERSION
from tests.schema.mutation_fixture import DatasetClient, create_client, schema
from tests.waiting import TIMEOUT, wait_until

FOLLOW = """subscription ($d: ID!, $a: String) { datasetEvents(datasetId: $d, after: $a) { __typename cursor
    ... on ChangeEvent { change { id revision kind } }
    ... on JobEvent { status job { id status } }
    ... on VersionPublishedEvent { versionId version { name } }
    ... on VersionDeletedEvent { versionId name }
    ... on ManifestWrittenEvent { versionId version { name manifestPath } } } }"""
CURSOR = "query ($d: ID!) { dataset(by: {id: $d}) { eventCursor revision } }"

Event = dict[str, Any]


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    return await create_client(database, tmp_path)


PROGRESS = "subscription ($d: ID!) { syncProgress(datasetId: $d) { id status } }"


@dataclass(slots=True)
class Subscriber:
    events: events.Events
    answers: AsyncGenerator[Answer, None]

    async def next(self) -> Event:
        answer = await asyncio.wait_for(anext(self.answers), TIMEOUT)
        assert not answer.errors
        [event] = orjson.loads(answer.encode())["data"].values()
        assert event.get("cursor") == answer.cursor
        return cast(Event, event)

    async def first(self, act: Callable[[], Awaitable[Any]]) -> Event:
        """The first event after somebody acts, once it is known what came before."""
        coming = asyncio.ensure_future(self.next())
        await wait_until(lambda: bool(self.events._topics))
        await act()
        return await coming


@asynccontextmanager
async def subscribed(client: DatasetClient, after: str | None = None, *, to: str = FOLLOW) -> AsyncIterator[Subscriber]:
    async with (
        events.listening(client.direct.database) as events_,
        subscribed_with(client, events_, after, to=to) as subscriber,
    ):
        yield subscriber


@asynccontextmanager
async def subscribed_with(
    client: DatasetClient, events_: events.Events, after: str | None, *, to: str = FOLLOW
) -> AsyncIterator[Subscriber]:
    context = replace(client.direct.context(), events=events_)
    variables = {"d": client.dataset, "a": after} if to == FOLLOW else {"d": client.dataset}
    request = Request(schema().documents.prepare(to), variables)
    async with aclosing(schema().subscribe(request, context)) as answers:
        yield Subscriber(events_, answers)


async def follow(client: DatasetClient, count: int, after: str | None) -> list[Event]:
    """So many events behind a cursor."""
    async with subscribed(client, after) as subscriber:
        return [await subscriber.next() for _ in range(count)]


async def cursor_of(client: DatasetClient) -> str:
    cursor: str = (await client.direct.execute(CURSOR, {"d": client.dataset}))["dataset"]["eventCursor"]
    return cursor


async def label(client: DatasetClient, position: int, name: str = "cat") -> None:
    select = {"ids": client.ids(position)}
    await client.mutate("labelSamples", "changedCount", datasetId=client.dataset, select=select, labels=[name])


async def publish(client: DatasetClient) -> str:
    payload = await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    version: str = payload["version"]["id"]
    return version


async def work(client: DatasetClient) -> None:
    """Run the job that is due."""
    claim = await jobs.claim(client.direct.database, WORKER)
    assert claim is not None
    await jobs.finish(client.direct.database, claim, "SUCCEEDED")


def short(event: Event) -> tuple[Any, ...]:
    match event.pop("__typename"):
        case "ChangeEvent":
            return ("change", event["change"]["revision"])
        case "JobEvent":
            return ("job", event["status"])
        case "VersionPublishedEvent":
            return ("published", event["version"] and event["version"]["name"])
        case "VersionDeletedEvent":
            return ("deleted", event["name"])
        case kind:
            return (kind, event["version"])


async def test_everything_that_happens_is_told_in_order(client: DatasetClient) -> None:
    start = await cursor_of(client)
    await label(client, 0)
    await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)
    await work(client)
    version = await publish(client)
    await label(client, 1)
    await client.mutate("deleteVersion", "dataset { id }", versionId=version)
    received = await follow(client, 7, start)
    jobs_ = {event["job"]["id"] for event in received if "job" in event}
    assert len(jobs_) == 1
    assert all(event["job"]["status"] == "SUCCEEDED" for event in received if "job" in event)
    assert [event["versionId"] for event in received if "versionId" in event] == [version, version]
    assert [short(event) for event in received] == [
        ("change", 2),
        ("job", "QUEUED"),
        ("job", "RUNNING"),
        ("job", "SUCCEEDED"),
        ("published", None),  # it was deleted since
        ("change", 3),
        ("deleted", "V001"),
    ]


async def test_the_same_is_told_behind_every_cursor(client: DatasetClient) -> None:
    start = await cursor_of(client)
    for position in range(3):
        await label(client, position)
        await publish(client)
    received = await follow(client, 6, start)
    for number, event in enumerate(received[:-1], 1):
        assert await follow(client, 6 - number, event["cursor"]) == received[number:]
    assert received[-1]["cursor"] == await cursor_of(client)


async def test_without_a_cursor_only_what_comes_is_told(client: DatasetClient) -> None:
    await label(client, 0)
    async with subscribed(client) as subscriber:
        assert short(await subscriber.first(lambda: publish(client))) == ("published", "V001")


async def test_a_cursor_is_of_one_dataset_and_of_what_it_has_come_to(client: DatasetClient) -> None:
    number = client.dataset_rows.id
    later, foreign = EVENTS.write(number, 99, 0), EVENTS.write(number + 1, 0, 0)
    for cursor in (later, foreign, EVENTS.write(number, 0, 99), EVENTS.write(number, -1, 0), "nonsense", ""):
        with pytest.raises(Invalid) as refused:
            await follow(client, 1, cursor)
        assert refused.value.code == "INVALID_CURSOR"
    [first] = await follow(client, 1, EVENTS.write(number, 0, 0))
    assert short(first) == ("change", 1)


async def test_a_token_that_does_not_see_the_dataset_is_told_nothing(client: DatasetClient) -> None:
    start = await cursor_of(client)
    await label(client, 0)
    stranger = client.confined_to(client.dataset_rows.id + 1)
    for after in (None, start):
        with pytest.raises(NotFound, match="no such dataset"):
            await follow(stranger, 1, after)
    own = client.confined_to(client.dataset_rows.id)
    assert [short(event) for event in await follow(own, 1, start)] == [("change", 2)]


async def test_two_tokens_are_told_the_same(client: DatasetClient) -> None:
    start = await cursor_of(client)
    bob = client.as_somebody("bob").confined_to(client.dataset_rows.id)
    for position in range(3):
        await label(client if position % 2 else bob, position)
    assert await follow(client, 3, start) == await follow(bob, 3, start)


async def test_events_that_come_in_another_order_are_not_taken_for_each_other(client: DatasetClient) -> None:
    start, database = await cursor_of(client), client.direct.database
    async with events.listening(database) as events_, subscribed_with(client, events_, start) as early:
        async with database.writing() as session:
            await sql.run(session, VERSION, dataset_id=client.dataset_rows.id, name="slow")
            await sql.run(session, "SET CONSTRAINTS ALL IMMEDIATE")  # the event notes the revision before the change
            await label(client, 0)
            first = await early.next()
        second = await early.next()
        async with subscribed_with(client, events_, EVENTS.write(client.dataset_rows.id, 0, 0)) as late:
            others = [await late.next() for _ in range(3)]
    assert second["cursor"] == others[2]["cursor"]
    assert [short(event) for event in (first, second)] == [("change", 2), ("published", "slow")]
    assert [short(event) for event in others] == [("change", 1), ("published", "slow"), ("change", 2)]


async def test_it_ends_with_the_dataset(client: DatasetClient) -> None:
    start = await cursor_of(client)
    await label(client, 0)
    async with subscribed(client, start) as subscriber:
        assert short(await subscriber.next()) == ("change", 2)
        await client.mutate("deleteDataset", "deletedDatasetId", datasetId=client.dataset)
        with pytest.raises(StopAsyncIteration):
            await subscriber.next()
    with pytest.raises(NotFound, match="no such dataset"):
        await follow(client, 1, start)


async def test_the_progress_of_a_first_sync_is_waited_for(client: DatasetClient) -> None:
    async with subscribed(client, to=PROGRESS) as subscriber:
        coming = asyncio.ensure_future(subscriber.next())
        await wait_until(lambda: bool(subscriber.events._topics))
        await label(client, 0)
        assert not coming.done()
        payload = await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)
        assert await coming == {"id": payload["job"]["id"], "status": "QUEUED"}
        await work(client)
        rest = [answer async for answer in subscriber.answers]  # until the stream ends
        assert b"SUCCEEDED" in rest[-1].encode()


async def test_who_waits_for_a_first_sync_is_told_when_the_dataset_is_deleted(client: DatasetClient) -> None:
    async with subscribed(client, to=PROGRESS) as subscriber:
        coming = asyncio.ensure_future(subscriber.next())
        await wait_until(lambda: bool(subscriber.events._topics))
        await client.mutate("deleteDataset", "deletedDatasetId", datasetId=client.dataset)
        with pytest.raises(StopAsyncIteration):
            await coming
    with pytest.raises(NotFound, match="no such dataset"):
        async with subscribed(client, to=PROGRESS) as subscriber:
            await subscriber.next()
