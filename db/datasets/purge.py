"""Purging a deleted dataset: its rows go in batches, so that no transaction is long; the files stay."""

from functools import partial
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.ingest import uploads
from db.jobs import Batch, Claim, Fenced
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage.object_deletion import OpenStore, delete_objects

BATCH: Final = 10_000
# Each before what it refers to. A change may point to a later one that undid it, so changes go oldest first; a version
# to its parent, so versions go newest first.
TABLES: Final = (
    *("base", "base_before", "version_eval", "version_label", "version"),
    *("annotation", "sample", "annotation_past", "sample_past", "label_past"),
    *("source_deletion", "upload", "source", "label", "change"),
)
OTHER_JOBS: Final = "DELETE FROM job WHERE dataset_id = $1 AND id <> $2"


async def start(session: AsyncSession, dataset_id: int, *, requested_by: str) -> None:
    """Ask for a deleted dataset's rows to be removed."""
    await jobs.enqueue(session, dataset_id, "PURGE", requested_by=requested_by)


async def run(database: Database, job: Claim, opener: OpenStore) -> None:
    """Remove all rows of the dataset, at last its own and the job's. Files whose deletion was asked for before are
    tried once more; one that cannot be deleted now stays, since nobody is left to ask for it."""
    await jobs.in_batch(database, job, partial(_wait_for_writers, job=job))
    await delete_objects(database, opener, dataset_id=job.dataset_id)
    await uploads.clear(database, opener, dataset_id=job.dataset_id)
    for table in TABLES:
        while await jobs.in_batch(database, job, partial(_delete, job=job, table=table)) == BATCH:
            job.report()
    await _end(database, job)


async def _wait_for_writers(batch: Batch, *, job: Claim) -> None:
    """Those who entered before the deletion; nobody enters after it."""
    await batch.connection.execute("SELECT pg_advisory_xact_lock(1, $1::bigint::int)", job.dataset_id)


async def _delete(batch: Batch, *, job: Claim, table: str) -> int:
    order = {"change": "ORDER BY id", "version": "ORDER BY id DESC"}.get(table, "")
    rows = f"SELECT ctid FROM {table} WHERE dataset_id = $1 {order} LIMIT {BATCH}"
    tag = await batch.connection.execute(f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({rows}))", job.dataset_id)
    return int(tag.rpartition(" ")[2])


async def _end(database: Database, job: Claim) -> None:
    async with database.writing() as session:
        connection = await connection_of(session)
        await connection.execute(OTHER_JOBS, job.dataset_id, job.id)
        if await connection.execute("DELETE FROM job WHERE id = $1 AND epoch = $2", job.id, job.epoch) != "DELETE 1":
            raise Fenced(f"purge {job.id} was taken over")
        await connection.execute("DELETE FROM dataset WHERE id = $1", job.dataset_id)
