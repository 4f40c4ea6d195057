"""Fourth and fifth stage: contents that are found at other paths, and how their samples follow them.

A sample belongs to a picture, not to a path. So before anything is merged, the contents that have left their paths are
matched with those that turned up, chains, rings and swaps included, and all of them move in one change: readers never
see half of a renumbering, and history records one path for each sample. Where listings know no contents, the files
that can matter are read first.
"""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Final

import asyncpg

from db.errors import Conflict
from db.formats.images import ImageLimits
from db.history.changes import lock_dataset, record
from db.ingest.entry import STORED, Listed
from db.ingest.images import InspectedImage
from db.ingest.sync.entries import read_images
from db.ingest.sync.options import INSPECTED, LISTED, Checkpoint, Guard, Options
from db.jobs import MAX_EXAMPLES, Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store

SQL: Final = sql.load(__file__)

BATCH: Final = 500  # images read between two checkpoints
READ_COLUMNS: Final = attrgetter("size", "modified_at", "changed_at", "content", "pixels")
WAIT: Final = "60s"  # for other writers of the dataset to finish

# In this order: equal files first where they also have the same name, then images that differ in their metadata.
KEYS: Final = (("content", "content, size, name"), ("content", "content, size"))
PIXEL_KEYS: Final = (("pixels", "pixels, name"), ("pixels", "pixels"))

POSTPONED: Final = (
    "The file has the same content as another one, but some files could not be read, or changed during the sync; their "
    "samples stay unchanged until a sync reads all files."
)
COPY: Final = (
    "The file was replaced by a copy of `{path}`, which is a new sample; the sample of the image before {fate}."
)


async def inspect_ahead(
    database: Database, job: Claim, store: Store, limits: ImageLimits, checkpoint: Checkpoint
) -> Checkpoint:
    """Read the images that may have moved. What they say is stored: they are not read again when they are merged."""

    async def write(batch: Batch, images: Sequence[tuple[int, InspectedImage]]) -> None:
        rows = [(position, STORED.dump_json(image).decode(), *READ_COLUMNS(image)) for position, image in images]
        await batch.connection.execute(SQL.inspected, job.id, *map(list, zip(*rows, strict=True)))
        batch.checkpoint = checkpoint.written()
        batch.progress = LISTED + (INSPECTED - LISTED) * checkpoint.position / checkpoint.merges

    while True:
        async with database.reading() as connection:
            rows = await connection.fetch(SQL.to_inspect, job.id, checkpoint.position, checkpoint.merges, BATCH)
        if not rows:
            return checkpoint.at("move", 0)
        items = [Listed.of(row) for row in rows]
        found = await read_images(store, items, limits)
        checkpoint = checkpoint.at("inspect", items[-1].position)
        await in_batch(database, job, partial(write, images=[(item.position, found[item.path]) for item in items]))


async def move(database: Database, job: Claim, options: Options, guard: Guard, checkpoint: Checkpoint) -> Checkpoint:
    """Move samples to where their pictures are. Raises TOO_MANY_REMOVED, and then this sync changes nothing."""
    checkpoint = checkpoint.at("merge", 0)
    async with database.reading() as connection:
        needed = await connection.fetchval(SQL.movable, job.id)
    if needed:
        await in_batch(database, job, partial(_move, job=job, options=options, guard=guard, checkpoint=checkpoint))
    return checkpoint


async def _move(batch: Batch, *, job: Claim, options: Options, guard: Guard, checkpoint: Checkpoint) -> None:
    batch.checkpoint = checkpoint.written()
    if not options.dry_run:
        await batch.connection.execute(f"SET LOCAL lock_timeout = '{WAIT}'")
        await lock_dataset(batch.session, job.dataset_id, None, exclusive=True)
    await _match(batch, job)
    if not checkpoint.complete or await batch.connection.fetchval(SQL.any_unsure, job.id):
        # No sample is displaced while something may have been overlooked.
        await batch.execute_long(SQL.postpone, job.id)
        postponed = await batch.connection.fetch(SQL.postponed, job.id)
        batch.warnings += [(row["path"], POSTPONED) for row in postponed]
        batch.counts["skipped"] += postponed[0]["postponed"] if postponed else 0
        await batch.execute_long(SQL.forget_postponed)
    await batch.execute_long(SQL.spare, job.id)
    [(removed, samples)] = await batch.connection.fetch(SQL.losses, job.id, job.dataset_id, options.remove_missing)
    if not options.remove_many and samples > guard.samples and removed * 100 > samples * guard.percent:
        raise Conflict(
            f"This sync would remove {removed} of {samples} samples, whose files are gone or were replaced, so it "
            "changed nothing. Check the input path; if it is correct, sync with `removeMany: true`.",
            code="TOO_MANY_REMOVED",
            wouldRemove=removed,
            samples=samples,
        )
    [effects] = await batch.connection.fetch(SQL.effects)
    batch.counts.update(moved=effects["moved"], removed=effects["removed"])
    for row in await batch.connection.fetch(SQL.copies):
        fate = "has moved" if row["moved"] else "is removed"
        batch.warn(row["path"], COPY.format(path=row["copy_of"], fate=fate))
    await batch.execute_long(SQL.finish_moved, job.id, options.overwrite, options.restore_removed)
    await batch.execute_long(SQL.finish_vanished, job.id)
    await batch.execute_long(SQL.finish_replaced, job.id)
    if options.dry_run:
        await _give_examples(batch)
    else:
        await _apply(batch, job, options, effects)


async def _match(batch: Batch, job: Claim) -> None:
    await batch.connection.execute(SQL.origin_table)
    await batch.connection.execute(SQL.target_table)
    await batch.execute_long(SQL.find_origins, job.id)
    await batch.connection.execute("ANALYZE sync_origin")
    await batch.execute_long(SQL.find_targets, job.id, job.dataset_id)
    await batch.connection.execute("ANALYZE sync_target")
    for is_same, passes in ((True, KEYS), (False, PIXEL_KEYS)):
        for key, keys in passes:
            await batch.execute_long(SQL.match.format(key=key, keys=keys), is_same)
    for keys in ("content, size", "pixels"):
        await batch.execute_long(SQL.find_copies.format(keys=keys), job.dataset_id)
    await batch.connection.execute("ANALYZE sync_target")


async def _give_examples(batch: Batch) -> None:
    for effect, statement in (("MOVED", SQL.first_moved), ("REMOVED", SQL.first_displaced)):
        rows = await batch.connection.fetch(statement, MAX_EXAMPLES)
        batch.example(effect, [row["path"] for row in rows], [row["former"] for row in rows])


async def _apply(batch: Batch, job: Claim, options: Options, effects: asyncpg.Record) -> None:
    revision = 0
    if effects["moved"] or effects["removed"]:
        done = ", ".join(f"{effects[what]} {what}" for what in ("moved", "removed") if effects[what])
        change = await record(batch.session, job.dataset_id, job.requested_by, "SYNC", f"Sync: {done}", job_id=job.id)
        revision = change.revision
    await batch.execute_long(SQL.unannotate_replaced, job.dataset_id)
    await batch.execute_long(SQL.remove_replaced, job.dataset_id)
    await batch.execute_long(SQL.vacate_sources, job.dataset_id)
    await batch.execute_long(SQL.end_rewritten_sources)
    await batch.execute_long(SQL.move_sources, job.id)
    await batch.execute_long(SQL.make_rewritten, job.id)
    await batch.execute_long(SQL.vacate_samples, revision)
    await batch.execute_long(SQL.move_samples, job.dataset_id, revision)
    await batch.execute_long(SQL.point_to_rewritten, job.id, job.dataset_id)
    if not options.overwrite:
        await batch.execute_long(SQL.note_sidecars, job.id, job.dataset_id)
