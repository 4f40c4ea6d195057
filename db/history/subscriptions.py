"""What a client may subscribe to: it exists, and the token may see it. Subscriptions of one token that ask the same at
once share one read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import asyncpg

from db.concurrency_limits import SHARED_READ_TTL
from db.errors import Invalid, NotFound
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.jobs import TYPE_NAMES
from db.jobs.events import Events
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from db.queries.types.dataset import EVENTS

SQL: Final = sql.load(__file__)
RETRY: Final = 1.0  # seconds before events are read again, where the database was away


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the events of a dataset: behind the change of a revision, and behind the other event of a number.
    Both are counted without gaps."""

    dataset_id: int
    revision: int
    number: int

    @property
    def cursor(self) -> str:
        return EVENTS.write(self.dataset_id, self.revision, self.number)

    @property
    def step(self) -> int:
        """How many events there are before it."""
        return self.revision + self.number


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: CHANGE, the kind of a job, VERSION_PUBLISHED, VERSION_DELETED or MANIFEST_WRITTEN. `subject_id`: of the
    change, job or version. `detail`: the job's status, or the version's name."""

    kind: str
    subject_id: int
    detail: str
    position: Position  # behind it


async def latest_sync(events: Events, dataset_id: int, by: Identity) -> int | None:
    """The id of the dataset's latest sync; where there was none yet, of its first, once that is requested. None: the
    dataset was deleted before."""

    async def read() -> int | None:
        async with events.database.reading() as connection:
            job: int | None = await sql.value(connection, SQL.latest_sync, dataset_id=dataset_id)
        return job

    await revision(events, dataset_id, by)
    async with aclosing(events.steps("events", dataset_id)) as steps:
        async for step in steps:
            job = await events.reads.get(by, ("sync", dataset_id, step), read)
            if job is not None:
                return job
    return None


async def job(events: Events, job_id: int, by: Identity, *, type_name: str = "SyncJob") -> int:
    """The job's id, if there is such a job."""

    async def read() -> int:
        kind = next((kind for kind, name in TYPE_NAMES.items() if name == type_name), None)
        async with events.database.reading() as connection:
            dataset_id: int | None = await sql.value(connection, SQL.dataset_of_job, job_id=job_id, kind=kind)
        if dataset_id is None or not by.sees(dataset_id):
            raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
        return job_id

    return await events.reads.get(by, ("job", job_id, type_name), read)


async def revision(events: Events, dataset_id: int, by: Identity) -> int:
    """The dataset's revision, if there is such a dataset."""
    read = partial(_revision, events.database, dataset_id, by)
    return await events.reads.get(by, ("revision", dataset_id), read)


async def _revision(database: Database, dataset_id: int, by: Identity) -> int:
    revision: int | None = None
    if by.sees(dataset_id):
        async with database.reading() as connection:
            revision = await sql.value(connection, SQL.dataset, dataset_id=dataset_id)
    if revision is None:
        raise no_such_dataset()
    return revision


async def changes_after(
    events: Events, dataset_id: int, revision: int, *, by: Identity, until: int
) -> AsyncGenerator[tuple[int, int], None]:
    """Ids and revisions of the changes up to a revision that is committed. They commit in the order of their revisions,
    which have no gaps: a reader who goes on behind the last one misses none."""

    async def read() -> list[asyncpg.Record]:
        async with events.database.reading() as connection:
            return await sql.run(connection, SQL.changes, dataset_id=dataset_id, revision=revision)

    while revision < until:
        # Behind `revision` there may be more by now, never others.
        rows = await events.reads.get(by, ("changes", dataset_id, revision), read, ttl=SHARED_READ_TTL)
        for row in rows:
            revision = row["revision"]
            yield row["id"], revision
        if not rows:
            return


async def position(events: Events, dataset_id: int, by: Identity, *, after: str | None) -> Position:
    """The position that a cursor names; without one, behind all events so far. Raises INVALID_CURSOR for a cursor of
    another dataset, and for one that the dataset has not come to, as after a backup was restored."""
    behind = None if after is None else Position(*EVENTS.key(after))

    async def read() -> Position:
        row = None
        if by.sees(dataset_id):
            async with events.database.reading() as connection:
                row = await sql.first(connection, SQL.position, dataset_id=dataset_id)
        if row is None:
            raise no_such_dataset()
        return Position(dataset_id, row["revision"], row["number"])

    now = await events.reads.get(by, ("position", dataset_id, behind), read)
    if behind is None:
        return now
    is_known = 0 <= behind.revision <= now.revision and 0 <= behind.number <= now.number
    if behind.dataset_id != dataset_id or not is_known:
        message = "The cursor is no position in this dataset's events: read the dataset again, with its `eventCursor`."
        raise Invalid(message, code="INVALID_CURSOR")
    return behind


async def events_after(events: Events, position: Position, *, by: Identity, until: int) -> AsyncGenerator[Event, None]:
    """The events behind a position, until there were so many. Those of one read are in one order, and whatever is
    committed later comes behind them in both sequences: a reader who goes on behind the last one misses none."""

    async def read() -> list[asyncpg.Record]:
        async with events.database.reading() as connection:
            return await sql.run(
                connection,
                SQL.events,
                dataset_id=position.dataset_id,
                revision=position.revision,
                number=position.number,
            )

    while position.step < until:
        try:
            rows = await events.reads.get(by, ("events", position), read, ttl=SHARED_READ_TTL)
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY)
            continue
        for row in rows:
            if row["kind"] == "CHANGE":
                position = replace(position, revision=row["revision"])
            else:
                position = replace(position, number=row["number"])
            if row["kind"] != "JOB":  # of a job that is gone: the dataset was deleted, and is being purged
                yield Event(row["kind"], row["subject_id"], row["detail"], position)
        if not rows:
            return
