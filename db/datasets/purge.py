"""Purging a deleted dataset: its rows go in batches, so that no transaction is long; the files stay."""

from functools import partial
from typing import Final

from db import jobs
from db.exports import files as exported_files
from db.ingest import uploads
from db.jobs import Batch, Claim, Fenced
from db.postgres import sql
from db.postgres.engine import Database
from db.storage.object_deletion import OpenStore, delete_objects

SQL: Final = sql.load(__file__)
BATCH: Final = 10_000  # rows
# Each before what it refers to. A change may point to a later one that undid it, so changes go oldest first; a version
# to its parent, so versions go newest first.
TABLES: Final = (
    *("base", "base_before", "version_eval", "version_label", "version"),
    *("verdict", "annotation", "sample", "verdict_past", "annotation_past"),
    *("sample_past_published", "sample_past_unpublished", "label_past"),
    *("source_deletion", "upload", "import_upload", "look", "look_hash", "source", "label", "model", "change"),
    *("embedding_model", "image_feature"),
)
ORDERS: Final = {"change": "ORDER BY id", "version": "ORDER BY id DESC"}


async def run(database: Database, job: Claim, open_store: OpenStore) -> None:
    """Remove all rows of the dataset, at last its own and the job's. Files whose deletion was requested before are
    tried once more; one that cannot be deleted now stays, since no row requests its deletion any more."""
    dataset_id = job.dataset_id

    async def wait_for_writers(batch: Batch) -> None:
        await sql.run(batch.session, SQL.wait_for_writers, dataset_id=dataset_id)

    async def delete_batch(batch: Batch, table: str) -> int:
        statement = SQL.delete_batch.format(table=table, order=ORDERS.get(table, ""))
        return await sql.count(batch.session, statement, dataset_id=dataset_id, limit=BATCH)

    await jobs.in_batch(database, job, wait_for_writers)
    await delete_objects(database, open_store, dataset_id=dataset_id)
    await uploads.clear(database, open_store, dataset_id=dataset_id)
    await uploads.parts.clear(database, open_store, dataset_id=dataset_id)
    await exported_files.clear(database, open_store, dataset_id=dataset_id)
    for table in TABLES:
        while await jobs.in_batch(database, job, partial(delete_batch, table=table)) == BATCH:
            job.report()
    async with database.writing() as session:
        await sql.run(session, SQL.delete_other_jobs, dataset_id=dataset_id, job_id=job.id)
        if not await sql.count(session, SQL.delete_job, job_id=job.id, epoch=job.epoch):
            raise Fenced(f"purge {job.id} was taken over")
        await sql.run(session, SQL.delete_dataset, dataset_id=dataset_id)
