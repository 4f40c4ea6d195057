"""Second stage: listing against what is known, in one statement; only differences become items.

Third: what seems to have vanished is asked for by name before it is believed. A listing can be wrong, and a store
that does not answer has not lost anything.
"""

import asyncio
from functools import partial
from typing import Final

import asyncpg

from db.errors import StorageError
from db.ingest.sync.listing import Listing
from db.ingest.sync.options import Checkpoint, Options, Stage
from db.ingest.sync.pairing import pair
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import RootMissing, Store

SQL: Final = sql.load(__file__)
ASKED: Final = 1_000  # vanished objects asked for in a batch
AT_ONCE: Final = 16

COUNT = (
    "SELECT count(*) FILTER (WHERE action <> 'VANISHED') AS merges, count(*) AS items FROM sync_item WHERE job_id = $1"
)
VANISHED = """
SELECT position, path FROM sync_item WHERE job_id = $1 AND position > $2 ORDER BY position LIMIT $3
"""


async def plan(database: Database, job: Claim, listing: Listing, options: Options) -> Checkpoint:
    """Write down what is to be done, and begin the job's counters anew: nothing was done under this plan yet."""

    async def write(batch: Batch) -> Checkpoint:
        await batch.connection.execute("ANALYZE (SKIP_LOCKED) sync_object")
        ignored = await pair(batch, job, listing)
        await batch.execute_long(
            SQL.plan,
            job.id,
            job.dataset_id,
            listing.complete,
            options.overwrite,
            options.restore_removed,
            options.verify_contents,
        )
        for table in ("sync_object", "sync_sidecar"):
            await batch.connection.execute(f"DELETE FROM {table} WHERE job_id = $1", job.id)
        [(merges, items)] = await batch.connection.fetch(COUNT, job.id)
        checkpoint = Checkpoint(Stage.CONFIRM, merges, merges, items, listing.complete, listing.fingerprint)
        batch.totals = {"scanned": listing.scanned, "ignored": ignored, "skipped": listing.refused}
        batch.checkpoint = checkpoint.written()
        return checkpoint

    return await in_batch(database, job, write)


async def is_there(database: Database, job: Claim, checkpoint: Checkpoint) -> bool:
    """Whether the plan outlived a crash of Postgres, which empties unlogged tables."""
    last = "SELECT true FROM sync_item WHERE job_id = $1 AND position = $2"
    async with database.reading() as connection:
        return checkpoint.items == 0 or bool(await connection.fetchval(last, job.id, checkpoint.items))


async def confirm(database: Database, job: Claim, store: Store, checkpoint: Checkpoint) -> Checkpoint:
    """Ask the store for everything that seems to have vanished; what is there, or cannot be told, is let be."""
    position = checkpoint.position
    while rows := await _vanished(database, job, position):
        found = await _still_there(store, rows)
        position = rows[-1]["position"]
        checkpoint = checkpoint.at(Stage.CONFIRM, position)
        await in_batch(database, job, partial(_let_be, job=job, positions=found, checkpoint=checkpoint))
    return checkpoint.at(Stage.INSPECT, 0)


async def _vanished(database: Database, job: Claim, position: int) -> list[asyncpg.Record]:
    async with database.reading() as connection:
        return await connection.fetch(VANISHED, job.id, position, ASKED)


async def _still_there(store: Store, rows: list[asyncpg.Record]) -> list[int]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(row: asyncpg.Record) -> bool:
        async with slots:
            try:
                return await store.stat(row["path"]) is not None
            except RootMissing:
                raise
            except StorageError:
                return True

    asking = [asyncio.create_task(ask(row)) for row in rows]
    try:
        answers = await asyncio.gather(*asking)
    finally:
        for task in asking:
            task.cancel()
    return [row["position"] for row, there in zip(rows, answers, strict=True) if there]


async def _let_be(batch: Batch, *, job: Claim, positions: list[int], checkpoint: Checkpoint) -> None:
    settle = "UPDATE sync_item SET settled = true WHERE job_id = $1 AND position = ANY($2::bigint[])"
    await batch.connection.execute(settle, job.id, positions)
    batch.checkpoint = checkpoint.written()
