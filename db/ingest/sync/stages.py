"""A sync from its first stage to its last, or from wherever it was when its worker died."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Final

from db.errors import Conflict
from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.history.changes import lock_dataset, no_such_dataset, record
from db.ingest.entry import Entry, Listed
from db.ingest.merge import merge_all
from db.ingest.policy import Policy
from db.ingest.staging import expect_staged, is_staged
from db.ingest.sync.entries import MAX_ANNOTATIONS, inspect
from db.ingest.sync.listing import is_unchanged, list_objects
from db.ingest.sync.moves import inspect_ahead, move
from db.ingest.sync.options import LISTED, MERGED, USUAL_GUARD, Checkpoint, Guard, Options
from db.ingest.sync.plan import confirm, plan
from db.ingest.sync.rules import Rules
from db.jobs import LONG_TIMEOUT, MAX_EXAMPLES, Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store

SQL: Final = sql.load(__file__)

BATCH: Final = 500  # items in one transaction; fewer where they have many annotations
LISTINGS: Final = 3  # of files that are renamed at the same time


async def run(
    database: Database, job: Claim, store: Store, limits: ImageLimits = DEFAULT_LIMITS, guard: Guard = USUAL_GUARD
) -> None:
    """Do a claimed sync. Raises StorageError (the store fails), Fenced (the job was taken over), Conflict (it would
    remove more than `guard` allows)."""
    options = Options(**job.arguments)
    async with database.reading() as connection:
        dataset = await connection.fetchrow(SQL.dataset, job.dataset_id)
    if dataset is None:
        raise no_such_dataset()
    rules = await asyncio.to_thread(Rules.of, dataset)
    limits = replace(limits, formats=rules.formats)
    checkpoint = await _prepare(database, job, store, limits, options, rules)
    if checkpoint.stage == "move":
        checkpoint = await move(database, job, options, guard, checkpoint)
    if checkpoint.stage == "merge":
        await _merge(database, job, store, limits, options, rules, checkpoint)
    if checkpoint.stage != "remove":
        last = partial(_count_vanished if options.dry_run else _remove, job=job, options=options)
        await in_batch(database, job, last)


async def _prepare(
    database: Database, job: Claim, store: Store, limits: ImageLimits, options: Options, rules: Rules
) -> Checkpoint:
    """A plan, with the contents of what may have moved. Files that are renamed during a listing may be listed
    twice, or not at all. So where contents have left their paths, files are listed once more, and if they differ, all
    begins again: until now nothing was changed. If they never stay as they are, no sample gives its path to another."""
    for left in reversed(range(LISTINGS)):
        checkpoint = Checkpoint.read(job.checkpoint)
        async with database.reading() as connection:
            is_planned = checkpoint is not None and await is_staged(connection, job)
        if checkpoint is None or not is_planned:
            listing = await list_objects(database, job, store, rules=rules, options=options)
            checkpoint = await plan(database, job, listing, options)
            job.report(progress=LISTED)
        if checkpoint.stage == "confirm":
            checkpoint = await confirm(database, job, store, checkpoint)
        if checkpoint.stage == "inspect":
            checkpoint = await inspect_ahead(database, job, store, limits, checkpoint)
        if checkpoint.stage != "move":
            return checkpoint
        async with database.reading() as connection:
            departed = await connection.fetchval(SQL.departed, job.id)
        if not departed or await is_unchanged(database, job.dataset_id, store, rules, checkpoint.images):
            return checkpoint
        if not left:
            return replace(checkpoint, complete=False)
        job.checkpoint = {}
    raise AssertionError("unreachable")


async def _merge(
    database: Database,
    job: Claim,
    store: Store,
    limits: ImageLimits,
    options: Options,
    rules: Rules,
    checkpoint: Checkpoint,
) -> None:
    async def read(position: int) -> Sequence[Entry]:
        async with database.reading() as connection:
            rows = await connection.fetch(SQL.items, job.id, position, checkpoint.merges, BATCH)
        items = await asyncio.to_thread(list, map(Listed.of, rows))
        fitting = sum(total <= MAX_ANNOTATIONS for total in accumulate(item.annotations for item in items))
        bounded = items[: max(1, fitting)]  # what samples have already is compared, and takes time as well
        return await inspect(store, bounded, kind=rules.kind, label_names=rules.label_names, limits=limits)

    def advance(batch: Batch, position: int) -> None:
        both = job.checkpoint.get("both", 0) + batch.counts["moved_and_updated"]
        batch.checkpoint = replace(checkpoint, stage="merge", position=position, both=both).written()
        batch.progress = LISTED + (MERGED - LISTED) * position / checkpoint.merges

    policy = Policy.of_sync(options.existing, restore_removed=options.restore_removed)
    dry_run, after = options.dry_run, checkpoint.position
    await merge_all(database, job, policy, after=after, read=read, advance=advance, dry_run=dry_run)


async def _remove(batch: Batch, *, job: Claim, options: Options) -> None:
    """Last stage: all that vanished is removed in one change, so that one undo brings it back."""
    await expect_staged(batch, job)
    await lock_dataset(batch.session, job.dataset_id, None)
    samples = [row["id"] for row in await batch.connection.fetch(SQL.lock_vanished, job.id)]
    if samples and options.remove_missing:
        summary = f"Sync: {len(samples)} removed, whose files are gone"
        await record(batch.session, job.dataset_id, job.requested_by, "SYNC", summary, job_id=job.id)
        await batch.execute_long(SQL.remove_annotations, samples)
        await batch.execute_long(SQL.remove_samples, samples)
        batch.counts["removed"] = len(samples)
    await batch.execute_long(SQL.end_vanished_sources, job.id)
    await _end(batch, job)


async def _count_vanished(batch: Batch, *, job: Claim, options: Options) -> None:
    """Last stage of a dry run. Raises CONFLICT if the samples were not its alone to compare with."""
    await expect_staged(batch, job)
    if await batch.connection.fetchval(SQL.was_overtaken, job.id, job.dataset_id):
        raise Conflict("A sync or an import has run since this dry run began; start another dry run.")
    if options.remove_missing:
        [vanished] = await batch.connection.fetch(SQL.count_vanished, job.id, MAX_EXAMPLES, timeout=LONG_TIMEOUT)
        batch.counts["removed"] = vanished["count"]
        batch.example("REMOVED", vanished["examples"])
    await _end(batch, job)


async def _end(batch: Batch, job: Claim) -> None:
    """Count the samples that stay as they are, and remember that all is done: a dry run counts nothing twice."""
    values = (job.id, batch.counts["removed"], job.checkpoint.get("both", 0))
    batch.totals["unchanged"] = await batch.connection.fetchval(SQL.unchanged, *values)
    batch.checkpoint = job.checkpoint | {"stage": "remove"}
