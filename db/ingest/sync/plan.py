"""Second stage: images get their sidecars, and the listing is compared with what is known, in one statement; only
differences become items.

Third: the store is asked by name for what seems to have vanished. A listing can be wrong, and a store that does not
answer has not lost anything.
"""

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Final

import asyncpg

from db.concurrency_limits import gather_or_cancel
from db.errors import StorageError
from db.ingest.staging import expect_staged
from db.ingest.sync.listing import Listing
from db.ingest.sync.options import Checkpoint, Options
from db.ingest.sync.rules import EXAMPLES, Reason
from db.jobs import LONG_TIMEOUT, Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import RootMissing, Store

SQL: Final = sql.load(__file__)
BATCH: Final = 1_000  # vanished objects between two checkpoints
AT_ONCE: Final = 16  # objects that the store is asked for at a time
IGNORED_COLUMNS: Final = ("job_id", "reason", "suffix", "count", "examples")
PASSED_OVER: Final = "Samples whose files this dataset now ignores: {}. They are kept; `deleteSamples` removes them."


async def plan(database: Database, job: Claim, listing: Listing, options: Options) -> Checkpoint:
    """Write down what is to be done, and reset the job's counters: nothing was done under this plan yet."""

    async def write(batch: Batch) -> Checkpoint:
        await expect_staged(batch, job)
        await batch.connection.execute("ANALYZE (SKIP_LOCKED) sync_object")
        ignored = await _pair(batch, job, listing)
        await batch.execute_long(
            SQL.plan,
            job.id,
            job.dataset_id,
            listing.complete,
            options.overwrite,
            options.restore_removed,
            options.verify_contents,
        )
        for table in ("sync_object", "sync_unchanged", "sync_sidecar"):
            await batch.connection.execute(f"DELETE FROM {table} WHERE job_id = $1", job.id)
        [(merges, items)] = await batch.connection.fetch(SQL.count, job.id)
        checkpoint = Checkpoint("confirm", merges, merges, items, listing.complete, listing.fingerprint)
        batch.totals = {"scanned": listing.scanned, "ignored": ignored, "skipped": listing.refused}
        batch.checkpoint = checkpoint.written()
        return checkpoint

    return await in_batch(database, job, write)


async def _pair(batch: Batch, job: Claim, listing: Listing) -> int:
    """Give images their sidecars, and write down which files are ignored; how many are. Done again, it counts the
    same."""
    await batch.connection.execute("SET LOCAL statement_timeout = 0")
    existing = await batch.connection.fetchrow(SQL.include_existing, job.id, job.dataset_id, timeout=LONG_TIMEOUT)
    if existing is not None and existing["count"]:
        batch.warn(existing["first"], PASSED_OVER.format(existing["count"]))
    await batch.execute_long(SQL.pair, job.id)
    await batch.execute_long("ANALYZE (SKIP_LOCKED) sync_sidecar")
    ignored = deepcopy(listing.ignored)
    for row in await batch.connection.fetch(SQL.ignored, job.id, EXAMPLES, timeout=LONG_TIMEOUT):
        ignored.add_group((Reason(row["reason"]), row["suffix"]), row["count"], row["examples"])
    await batch.connection.execute(SQL.clear_ignored, job.id)
    records = [(job.id, *row) for row in ignored.rows()]
    await batch.connection.copy_records_to_table("ignored_files", records=records, columns=IGNORED_COLUMNS)
    return ignored.total


async def confirm(database: Database, job: Claim, store: Store, checkpoint: Checkpoint) -> Checkpoint:
    """Ask the store for everything that seems to have vanished; what is there, or is not answered for, is spared."""

    async def write(batch: Batch, found: Sequence[int]) -> None:
        await batch.connection.execute(SQL.spare_found, job.id, found)
        batch.checkpoint = checkpoint.written()

    while True:
        async with database.reading() as connection:
            rows = await connection.fetch(SQL.vanished, job.id, checkpoint.position, BATCH)
        if not rows:
            return checkpoint.at("inspect", 0)
        found = await _still_there(store, rows)
        checkpoint = checkpoint.at("confirm", rows[-1]["position"])
        await in_batch(database, job, partial(write, found=found))


async def _still_there(store: Store, rows: Sequence[asyncpg.Record]) -> list[int]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def is_found(row: asyncpg.Record) -> bool:
        async with slots:
            try:
                return await store.stat(row["path"]) is not None
            except RootMissing:
                raise
            except StorageError:
                return True

    answers = await gather_or_cancel(map(is_found, rows))
    return [row["position"] for row, there in zip(rows, answers, strict=True) if there]
