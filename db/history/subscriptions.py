"""What a client may subscribe to: it exists, and the token may see it. Many who ask the same at once share one read."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

import asyncpg

from db.concurrency_limits import SHARED_READ_TTL
from db.errors import NotFound
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.jobs import TYPE_NAMES
from db.jobs.events import Events
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)


async def latest_sync(events: Events, dataset_id: int, by: Identity) -> int:
    """The id of the dataset's latest sync. JOB_NOT_FOUND where there was none yet."""

    async def read() -> int:
        await _revision(events.database, dataset_id, by)
        async with events.database.reading() as connection:
            job: int | None = await sql.value(connection, SQL.latest_sync, dataset_id=dataset_id)
        if job is None:
            raise NotFound("The dataset was never synced; start with `syncDataset`.", code="JOB_NOT_FOUND")
        return job

    return await events.reads.get(("sync", dataset_id, by), read)


async def job(events: Events, job_id: int, by: Identity, *, type_name: str = "SyncJob") -> int:
    """The job's id, if there is such a job."""

    async def read() -> int:
        kind = next((kind for kind, name in TYPE_NAMES.items() if name == type_name), None)
        async with events.database.reading() as connection:
            dataset_id: int | None = await sql.value(connection, SQL.dataset_of_job, job_id=job_id, kind=kind)
        if dataset_id is None or not by.sees(dataset_id):
            raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
        return job_id

    return await events.reads.get(("job", job_id, by, type_name), read)


async def revision(events: Events, dataset_id: int, by: Identity) -> int:
    """The dataset's revision, if there is such a dataset."""
    read = partial(_revision, events.database, dataset_id, by)
    return await events.reads.get(("revision", dataset_id, by), read)


async def _revision(database: Database, dataset_id: int, by: Identity) -> int:
    revision: int | None = None
    if by.sees(dataset_id):
        async with database.reading() as connection:
            revision = await sql.value(connection, SQL.dataset, dataset_id=dataset_id)
    if revision is None:
        raise no_such_dataset()
    return revision


async def changes_after(
    events: Events, dataset_id: int, revision: int, *, until: int
) -> AsyncGenerator[tuple[int, int], None]:
    """Ids and revisions of the changes up to a revision that is committed. They commit in the order of their revisions,
    which have no gaps: a reader who goes on behind the last one misses none."""

    async def read() -> list[asyncpg.Record]:
        async with events.database.reading() as connection:
            return await sql.run(connection, SQL.changes, dataset_id=dataset_id, revision=revision)

    while revision < until:
        # Behind `revision` there may be more by now, never others.
        rows = await events.reads.get(("changes", dataset_id, revision), read, ttl=SHARED_READ_TTL)
        for row in rows:
            revision = row["revision"]
            yield row["id"], revision
        if not rows:
            return
