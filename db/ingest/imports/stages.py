"""An import from its first stage to its last, or from wherever it was when its worker died."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import asyncpg

from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.history.changes import no_such_dataset
from db.ingest.imports.copying import Copier
from db.ingest.imports.inspection import Inspector, Seen
from db.ingest.imports.label_files import LabelFiles
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.merging import merge
from db.ingest.imports.options import Checkpoint, Options, Stage
from db.ingest.imports.reading import READ, is_there, read
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, Stores

SQL: Final = sql.load(__file__, "merging.sql")

BATCH: Final = 500  # lines in one transaction
LOOKED: Final = 100  # lines looked at together
ENOUGH: Final = 20_000  # marks that one transaction need not exceed
DATASET = "SELECT type, input_path, label_names FROM dataset WHERE id = $1 AND deleted_at IS NULL"
Portion = tuple[int, list[Seen]]  # the position of its last line, and what was seen


async def run(database: Database, job: Claim, stores: Stores, caps: ImageLimits = DEFAULT_LIMITS) -> None:
    """Do a claimed import. Raises DomainError (it is no manifest, a store fails), Fenced (the job was taken over)."""
    options = Options(**job.arguments)
    async with database.reading() as connection:
        dataset = await connection.fetchrow(DATASET, job.dataset_id)
    if dataset is None:
        raise no_such_dataset()
    reach = await ReadableLocations.of(database, stores, options.dataset_ids)
    checkpoint = Checkpoint.read(job.checkpoint)
    if checkpoint is None or not await is_there(database, job):
        checkpoint = await read(database, job, reach, options, dataset)
    inspector = _inspector(database, job, reach, options, dataset, stores.open(dataset["input_path"]), caps)
    await _Merging(database, job, options, inspector).run(checkpoint)


def _inspector(
    database: Database,
    job: Claim,
    reach: ReadableLocations,
    options: Options,
    dataset: asyncpg.Record,
    store: Store,
    caps: ImageLimits,
) -> Inspector:
    beside = options.manifest[: options.manifest.rindex("/") + 1]
    copier = Copier(database, job, store, reach, caps)
    files = LabelFiles(reach, dataset["type"], beside, dataset["label_names"])
    return Inspector(database, job, options, dataset["type"], store, caps, copier, files)


class _Merging:
    def __init__(self, database: Database, job: Claim, options: Options, inspector: Inspector) -> None:
        self.database, self.job, self.options, self.inspector = database, job, options, inspector
        self.file_name = options.manifest.rpartition("/")[2][:200]

    async def run(self, checkpoint: Checkpoint) -> None:
        """Batch after batch; while one is written, the next is being looked at."""
        ahead = asyncio.create_task(self._next(checkpoint.position))
        try:
            while (portion := await ahead) is not None:
                position, found = portion
                ahead = asyncio.create_task(self._next(position))
                done = Checkpoint(Stage.MERGE, position, checkpoint.last, checkpoint.lines)
                await in_batch(self.database, self.job, partial(self._merge, found=found, done=done))
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _next(self, position: int) -> Portion | None:
        async with self.database.reading() as connection:
            rows = await connection.fetch(SQL.items, self.job.id, position, BATCH)
        found: list[Seen] = []
        for start in range(0, len(rows), LOOKED):
            found += await self.inspector.look(rows[start : start + LOOKED])
            if sum(len(seen.marks or ()) for seen in found) >= ENOUGH:
                break
        return (found[-1].position, found) if found else None

    async def _merge(self, batch: Batch, *, found: Sequence[Seen], done: Checkpoint) -> None:
        await merge(batch, job=self.job, found=found, options=self.options, file_name=self.file_name)
        batch.checkpoint = done.written()
        batch.progress = min(1.0, READ + (1 - READ) * done.position / max(done.last, 1))
