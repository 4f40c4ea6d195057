"""What somebody may follow: it is there, and his token may see it."""

from collections.abc import AsyncGenerator
from functools import partial

import asyncpg

from db.concurrency import SHARED_READ_TTL
from db.errors import NotFound
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.jobs import TYPE_NAMES
from db.jobs.events import Events
from db.postgres.engine import Database

DATASET = "SELECT id FROM dataset WHERE id = $1 AND deleted_at IS NULL"
LATEST_SYNC = "SELECT id FROM job WHERE dataset_id = $1 AND kind = 'SYNC' ORDER BY id DESC LIMIT 1"
HEAD = "SELECT revision FROM dataset WHERE id = $1 AND deleted_at IS NULL"
CHANGES = "SELECT id, revision FROM change WHERE dataset_id = $1 AND revision > $2 ORDER BY revision LIMIT 100"
JOB = """
SELECT job.dataset_id FROM job JOIN dataset d ON d.id = job.dataset_id
WHERE job.id = $1 AND job.kind = $2 AND d.deleted_at IS NULL
"""


async def latest_sync(events: Events, dataset_id: int, by: Identity) -> int:
    """The id of the dataset's latest sync. JOB_NOT_FOUND where there was none yet."""
    return await events.reads.get(("sync", dataset_id, by), lambda: _latest_sync(events.database, dataset_id, by))


async def _latest_sync(database: Database, dataset_id: int, by: Identity) -> int:
    async with database.reading() as connection:
        if not by.sees(dataset_id) or await connection.fetchval(DATASET, dataset_id) is None:
            raise no_such_dataset()
        job: int | None = await connection.fetchval(LATEST_SYNC, dataset_id)
    if job is None:
        raise NotFound("The dataset was never synced; start with `syncDataset`.", code="JOB_NOT_FOUND")
    return job


async def job(events: Events, job_id: int, by: Identity, *, type_name: str = "SyncJob") -> int:
    """The job's id, if there is such a job."""
    key = ("job", job_id, by, type_name)
    return await events.reads.get(key, lambda: _job(events.database, job_id, by, type_name))


async def _job(database: Database, job_id: int, by: Identity, type_name: str) -> int:
    kind = next((kind for kind, name in TYPE_NAMES.items() if name == type_name), None)
    async with database.reading() as connection:
        dataset_id: int | None = await connection.fetchval(JOB, job_id, kind)
    if dataset_id is None or not by.sees(dataset_id):
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    return job_id


async def revision(events: Events, dataset_id: int, by: Identity) -> int:
    """The dataset's revision, if there is such a dataset."""
    return await events.reads.get(("revision", dataset_id, by), lambda: _revision(events.database, dataset_id, by))


async def _revision(database: Database, dataset_id: int, by: Identity) -> int:
    async with database.reading() as connection:
        found: int | None = await connection.fetchval(HEAD, dataset_id) if by.sees(dataset_id) else None
    if found is None:
        raise no_such_dataset()
    return found


async def changes_after(
    events: Events, dataset_id: int, revision: int, *, until: int
) -> AsyncGenerator[tuple[int, int], None]:
    """Ids and revisions of the changes up to a revision that is committed. They commit in the order of their revisions,
    which have no gaps: whoever goes on behind the last one that he was given misses none."""
    while revision < until:
        key = ("changes", dataset_id, revision)
        read = partial(_changes, events.database, dataset_id, revision)
        rows = await events.reads.get(
            key, read, ttl=SHARED_READ_TTL
        )  # those behind `revision` may be more by now, not others
        for row in rows:
            revision = row["revision"]
            yield row["id"], revision
        if not rows:
            return


async def _changes(database: Database, dataset_id: int, revision: int) -> list[asyncpg.Record]:
    async with database.reading() as connection:
        return list(await connection.fetch(CHANGES, dataset_id, revision))
