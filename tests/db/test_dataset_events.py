"""The events of a dataset in the database: numbered in the order of their commits, whoever commits at the same time."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import changes, subscriptions
from db.history.subscriptions import Event, Position
from db.ingest.uploads.destinations import lock_names
from db.jobs import events
from db.postgres import sql
from db.postgres.engine import Database
from tests.db.concurrency import overlapping
from tests.db.dataset_rows import ANN, make
from tests.waiting import TIMEOUT

TURNS = 25
INSERT = """INSERT INTO job (dataset_id, kind, requested_by) VALUES (:dataset_id, 'MANIFEST', 'ann') RETURNING id"""
UPDATE = "UPDATE job SET status = :status WHERE id = :id"
BEAT = "UPDATE job SET status = status, step = step + 1, progress = 0.5 WHERE id = :id"
PAUSE = "SELECT pg_sleep(random() * 0.02)"
VERSION = """INSERT INTO version (dataset_id, name, revision, created_by, total, labeled, pending)
    VALUES (:dataset_id, :name, 0, 'ann', 0, 0, 0)"""
NUMBERED = "SELECT number, revision, kind, detail FROM dataset_event WHERE dataset_id = $1 ORDER BY number"


async def follow(database: Database, start: Position, count: int) -> list[Event]:
    """So many events behind a position, as a subscriber gets them."""
    found: list[Event] = []
    position = start
    async with (
        asyncio.timeout(TIMEOUT),
        events.listening(database) as listening,
        aclosing(listening.steps("events", start.dataset_id)) as steps,
    ):
        async for step in steps:
            async with aclosing(subscriptions.events_after(listening, position, by=ANN, until=step)) as behind:
                async for event in behind:
                    position = event.position
                    found.append(event)
            if len(found) >= count:
                return found
    raise AssertionError("the dataset was deleted")


@dataclass(slots=True)
class Writers:
    """Transactions that take their time before they commit."""

    database: Database
    dataset: int
    names: Iterator[int] = field(default_factory=itertools.count)

    async def write(self, statement: str, **values: object) -> Any:
        async with self.database.writing() as session:
            value = await sql.value(session, statement, **values)
            await sql.run(session, PAUSE)
        return value

    async def run_jobs(self) -> None:
        for _ in range(TURNS):
            job = await self.write(INSERT, dataset_id=self.dataset)
            await self.write(UPDATE, status="RUNNING", id=job)
            await self.write(UPDATE, status="SUCCEEDED", id=job)

    async def publish(self) -> None:
        for _ in range(TURNS):
            await self.write(VERSION, dataset_id=self.dataset, name=f"v{next(self.names)}")

    async def change(self) -> None:
        for _ in range(TURNS):
            async with self.database.writing() as session:
                await changes.record(session, self.dataset, kind="LABEL_SAMPLES", actor="ann", summary="Labelled")
                await sql.run(session, PAUSE)


@dataclass(slots=True)
class Received:
    """What a subscriber got while all wrote."""

    start: Position
    events: list[Event]


@pytest.fixture
async def received(database: Database) -> Received:
    dataset = (await make(database, name="pets")).id
    writers, start = Writers(database, dataset), Position(dataset, 0, 0)
    work = asyncio.gather(
        *(writers.run_jobs() for _ in range(3)),
        *(writers.publish() for _ in range(2)),
        *(writers.change() for _ in range(2)),
    )
    count = TURNS * (3 * 3 + 2 + 2)
    found = await follow(database, start, count)
    await work
    assert len(found) == count
    return Received(start, found)


async def test_none_is_left_out_while_many_commit_at_once(received: Received) -> None:
    revisions = [event.position.revision for event in received.events if event.kind == "CHANGE"]
    numbers = [event.position.number for event in received.events if event.kind != "CHANGE"]
    assert revisions == list(range(1, 2 * TURNS + 1))
    assert numbers == list(range(1, len(numbers) + 1))
    statuses: dict[int, list[str]] = {}
    for event in received.events:
        if event.kind == "MANIFEST":
            statuses.setdefault(event.subject_id, []).append(event.detail)
    assert list(statuses.values()) == [["QUEUED", "RUNNING", "SUCCEEDED"]] * 3 * TURNS


async def test_an_event_comes_after_the_changes_that_were_committed_before_it(
    database: Database, received: Received
) -> None:
    async with database.reading() as connection:
        rows = await connection.fetch(NUMBERED, received.start.dataset_id)
    revisions = [row["revision"] for row in rows]
    assert revisions == sorted(revisions)
    others = [event for event in received.events if event.kind != "CHANGE"]
    assert all(event.position.revision >= revision for event, revision in zip(others, revisions, strict=True))


async def test_whoever_resumes_gets_the_rest_in_one_order(database: Database, received: Received) -> None:
    count = len(received.events)
    again = await follow(database, received.start, count)
    assert again == await follow(database, received.start, count)
    for middle in received.events[:: count // 7]:
        rest = await follow(database, middle.position, count - middle.position.step)
        expected = {(event.kind, event.subject_id, event.detail) for event in received.events[middle.position.step :]}
        assert {(event.kind, event.subject_id, event.detail) for event in rest} == expected


async def test_an_event_of_a_transaction_that_commits_later_has_a_later_number(database: Database) -> None:
    dataset = (await make(database, name="pets")).id

    async def publish_first(session: AsyncSession) -> None:
        await sql.run(session, VERSION, dataset_id=dataset, name="begun first")

    async def publish_second(session: AsyncSession) -> None:
        await sql.run(session, VERSION, dataset_id=dataset, name="committed first")

    await overlapping(database, publish_first, publish_second)
    async with database.reading() as connection:
        rows = await connection.fetch(NUMBERED, dataset)
    assert [(row["number"], row["detail"]) for row in rows] == [(1, "committed first"), (2, "begun first")]


async def test_whoever_gives_names_away_keeps_no_event_waiting(database: Database) -> None:
    dataset = (await make(database, name="pets")).id
    async with database.writing() as naming:
        await lock_names(naming, dataset)
        async with database.writing() as session:
            await sql.run(session, "SET LOCAL lock_timeout = '1s'")
            await sql.run(session, INSERT, dataset_id=dataset)
    async with database.reading() as connection:
        assert [row["detail"] for row in await connection.fetch(NUMBERED, dataset)] == ["QUEUED"]


async def test_a_heartbeat_and_a_refused_transaction_are_no_events(database: Database) -> None:
    dataset = (await make(database, name="pets")).id
    async with database.writing() as session:
        job = await sql.value(session, INSERT, dataset_id=dataset)
    with suppress(ZeroDivisionError):
        async with database.writing() as session:
            await sql.run(session, UPDATE, status="RUNNING", id=job)
            raise ZeroDivisionError
    async with database.writing() as session:
        await sql.run(session, BEAT, id=job)
    async with database.reading() as connection:
        assert [row["detail"] for row in await connection.fetch(NUMBERED, dataset)] == ["QUEUED"]


async def test_a_deleted_dataset_gets_no_events_and_takes_its_own_with_it(database: Database) -> None:
    dataset = (await make(database, name="pets")).id
    async with database.writing() as session:
        await sql.run(session, VERSION, dataset_id=dataset, name="v")
    async with database.writing() as session:
        await sql.run(session, "UPDATE dataset SET deleted_at = now() WHERE id = :id", id=dataset)
        await sql.run(session, "DELETE FROM version WHERE dataset_id = :id", id=dataset)
    async with database.reading() as connection:
        assert [row["kind"] for row in await connection.fetch(NUMBERED, dataset)] == ["VERSION_PUBLISHED"]
    async with database.writing() as session:
        await sql.run(session, "DELETE FROM dataset WHERE id = :id", id=dataset)
    async with database.reading() as connection:
        assert await connection.fetch(NUMBERED, dataset) == []


async def test_whoever_reads_while_a_deleted_dataset_is_purged_is_not_told_of_jobs_that_are_gone(
    database: Database,
) -> None:
    dataset = (await make(database, name="pets")).id
    async with database.writing() as session:
        await sql.run(session, INSERT, dataset_id=dataset)
        await sql.run(session, VERSION, dataset_id=dataset, name="v")
    async with database.writing() as session:
        await sql.run(session, "UPDATE dataset SET deleted_at = now() WHERE id = :id", id=dataset)
        await sql.run(session, "DELETE FROM job WHERE dataset_id = :id", id=dataset)
    behind = subscriptions.events_after(events.Events(database), Position(dataset, 0, 0), by=ANN, until=2)
    assert [event.kind async for event in behind] == ["VERSION_PUBLISHED"]


async def test_pages_of_events_are_read_by_their_indexes(database: Database) -> None:
    dataset = (await make(database, name="pets")).id
    async with database.writing() as session:
        for statement in (
            """INSERT INTO change (dataset_id, revision, kind, actor, summary)
               SELECT :id, n, 'SYNC', 'ann', '' FROM generate_series(1, 50000) n""",
            """INSERT INTO dataset_event (dataset_id, number, revision, kind, subject_id, detail)
               SELECT :id, n, n, 'JOB', 0, '' FROM generate_series(1, 50000) n""",
        ):
            await sql.run(session, statement, id=dataset)
        await sql.run(session, "ANALYZE change, dataset_event")
    text, values = sql.positional(
        subscriptions.SQL.events, {"dataset_id": dataset, "revision": 25_000, "number": 9_000}
    )
    async with database.reading() as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}", *values))
        assert "Seq Scan on change" not in plan
        assert "Seq Scan on dataset_event" not in plan
        [page] = [await connection.fetch(text, *values)]
    assert [(row["kind"], row["number"]) for row in page] == [("JOB", 9_001 + n) for n in range(100)]


async def test_a_position_is_checked_against_what_the_dataset_has_come_to(database: Database) -> None:
    dataset = (await make(database, name="pets")).id
    reader = events.Events(database)
    now = await subscriptions.position(reader, dataset, ANN, after=None)
    assert (now.revision, now.number, now.step) == (0, 0, 0)
    assert await subscriptions.position(reader, dataset, ANN, after=now.cursor) == now
