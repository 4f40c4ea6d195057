"""A sync from its first stage to its last, or from wherever it was when its worker died."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Final

from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.history.changes import lock_dataset, no_such_dataset, record
from db.ingest.sync.inspection import ENOUGH, Found, Item, inspect
from db.ingest.sync.listing import is_unchanged, list_objects
from db.ingest.sync.merging import merge
from db.ingest.sync.moves import inspect_ahead, move
from db.ingest.sync.options import LISTED, MERGED, USUAL_GUARD, Checkpoint, Guard, Options, Stage
from db.ingest.sync.plan import confirm, is_there, plan
from db.ingest.sync.rules import DATASET, Rules
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store

SQL: Final = sql.load(__file__)

Look = Callable[[Sequence[Item]], Awaitable[Sequence[Found]]]

BATCH: Final = 500  # items in one transaction; fewer where they say much
LOOKS: Final = 3  # at files that are renamed meanwhile


async def run(
    database: Database, job: Claim, store: Store, caps: ImageLimits = DEFAULT_LIMITS, guard: Guard = USUAL_GUARD
) -> None:
    """Do a claimed sync. Raises StorageError (the store fails), Fenced (the job was taken over), Conflict (it would
    remove more than `guard` allows)."""
    options = Options(**job.arguments)
    rules = await _rules(database, job)
    checkpoint = await _prepared(database, job, store, caps, options, rules)
    if checkpoint.stage is Stage.MOVE:
        checkpoint = await move(database, job, options, guard, checkpoint)
    if checkpoint.stage is Stage.MERGE:
        look = partial(inspect, store, kind=rules.kind, label_names=rules.label_names, caps=caps)
        checkpoint = await _merge_all(database, job, look, options, checkpoint)
    await in_batch(database, job, partial(_remove, job=job, options=options))


async def _rules(database: Database, job: Claim) -> Rules:
    async with database.reading() as connection:
        dataset = await connection.fetchrow(DATASET, job.dataset_id)
    if dataset is None:
        raise no_such_dataset()
    return await asyncio.to_thread(Rules.of, dataset)


async def _prepared(
    database: Database, job: Claim, store: Store, caps: ImageLimits, options: Options, rules: Rules
) -> Checkpoint:
    """A plan, with the contents of what may have moved. Files that are renamed meanwhile may be seen twice, or nowhere.
    So where contents have left their paths, files are listed once more, and if they differ, all begins anew. Until now
    nothing was changed. If they never stay as they are, nothing gives way to anything."""
    looks, checkpoint = 1, await _inspected(database, job, store, caps, options, rules)
    while checkpoint.stage is Stage.MOVE and await _changed_since(database, job, store, rules, checkpoint):
        if looks == LOOKS:
            return replace(checkpoint, complete=False)
        job.checkpoint = {}
        looks, checkpoint = looks + 1, await _inspected(database, job, store, caps, options, rules)
    return checkpoint


async def _inspected(
    database: Database, job: Claim, store: Store, caps: ImageLimits, options: Options, rules: Rules
) -> Checkpoint:
    checkpoint = await _planned(database, job, store, options, rules)
    if checkpoint.stage is Stage.CONFIRM:
        checkpoint = await confirm(database, job, store, checkpoint)
    if checkpoint.stage is Stage.INSPECT:
        checkpoint = await inspect_ahead(database, job, store, caps, checkpoint)
    return checkpoint


async def _changed_since(database: Database, job: Claim, store: Store, rules: Rules, checkpoint: Checkpoint) -> bool:
    async with database.reading() as connection:
        departed = await connection.fetchval(SQL.departed, job.id)
    return departed and not await is_unchanged(store, rules, checkpoint.images)


async def _planned(database: Database, job: Claim, store: Store, options: Options, rules: Rules) -> Checkpoint:
    """The plan that was being carried out, or a new one."""
    checkpoint = Checkpoint.read(job.checkpoint)
    if checkpoint is not None and await is_there(database, job, checkpoint):
        return checkpoint
    listing = await list_objects(database, job, store, rules=rules)
    planned = await plan(database, job, listing, options)
    job.report(progress=LISTED)
    return planned


async def _merge_all(
    database: Database, job: Claim, look: Look, options: Options, checkpoint: Checkpoint
) -> Checkpoint:
    """Batch after batch; while one is written, the next is being read."""
    ahead = asyncio.create_task(_next(database, job, look, checkpoint))
    try:
        while items := await ahead:
            done = checkpoint.at(Stage.MERGE, items[-1].item.position)
            ahead = asyncio.create_task(_next(database, job, look, done))
            await in_batch(database, job, partial(_merge_one, job=job, found=items, options=options, done=done))
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
    return checkpoint.at(Stage.REMOVE, checkpoint.items)


async def _next(database: Database, job: Claim, look: Look, at: Checkpoint) -> Sequence[Found]:
    async with database.reading() as connection:
        rows = await connection.fetch(SQL.items, job.id, at.position, at.merges, BATCH)
    return await look(_bounded([Item.of(row) for row in rows]))


def _bounded(items: Sequence[Item]) -> Sequence[Item]:
    """As many of the first as have together a bearable number of annotations to compare, and at least one."""
    totals = accumulate(item.annotations for item in items)
    fitting = sum(total <= ENOUGH for total in totals)
    return items[: max(1, fitting)]


async def _merge_one(batch: Batch, *, job: Claim, found: Sequence[Found], options: Options, done: Checkpoint) -> None:
    await merge(batch, job=job, found=found, options=options)
    batch.checkpoint = done.written()
    batch.progress = LISTED + (MERGED - LISTED) * done.position / done.merges


async def _remove(batch: Batch, *, job: Claim, options: Options) -> None:
    """Last stage: all that vanished goes in one change, so that one undo brings it back."""
    await lock_dataset(batch.session, job.dataset_id, None)
    samples = [row["id"] for row in await batch.connection.fetch(SQL.lock_vanished, job.id)]
    if samples and options.remove_missing:
        summary = f"Sync: {len(samples)} removed, whose files are gone"
        await record(batch.session, job.dataset_id, kind="SYNC", actor=job.requested_by, summary=summary, job_id=job.id)
        await batch.execute_long(SQL.remove_annotations, samples)
        await batch.execute_long(SQL.remove_samples, samples)
        batch.counts["removed"] = len(samples)
    await batch.execute_long(SQL.let_go_vanished, job.id)
    batch.checkpoint = job.checkpoint | {"stage": Stage.REMOVE}
