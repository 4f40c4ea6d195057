"""An import from its first stage to its last, or from wherever it was when its worker died."""

from collections.abc import Sequence
from typing import Final

from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.history.changes import no_such_dataset
from db.ingest.decide import Policy
from db.ingest.entry import Entry
from db.ingest.imports.entries import Inspector
from db.ingest.imports.label_files import LabelFiles
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.options import Options
from db.ingest.imports.reading import READ, is_staged, stage_manifest
from db.ingest.merge import merge_all
from db.jobs import Batch, Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Stores

SQL: Final = sql.load(__file__)

BATCH: Final = 500  # lines in one transaction
CHUNK: Final = 100  # lines whose images are read together
MAX_ANNOTATIONS: Final = 20_000  # after which a transaction takes no further line


async def run(database: Database, job: Claim, stores: Stores, limits: ImageLimits = DEFAULT_LIMITS) -> None:
    """Do a claimed import. Raises DomainError (it is no manifest, a store fails), Fenced (the job was taken over)."""
    options = Options(**job.arguments)
    async with database.reading() as connection:
        dataset = await sql.first(connection, SQL.dataset, id=job.dataset_id)
    if dataset is None:
        raise no_such_dataset()
    kind, rule = dataset["type"], dataset["label_names"]
    locations = await ReadableLocations.of(database, stores, options.dataset_ids)
    if not job.checkpoint or not await is_staged(database, job):
        await stage_manifest(database, job, locations, options, dataset)
    last, store = job.checkpoint["last"], stores.open(dataset["input_path"])
    files = LabelFiles(locations, kind, options.folder, rule)
    inspector = Inspector(database, job, options, kind, store, limits, locations, files)

    async def read(position: int) -> Sequence[Entry]:
        async with database.reading() as connection:
            rows = await sql.run(connection, SQL.lines, job_id=job.id, position=position, count=BATCH)
        entries: list[Entry] = []
        for start in range(0, len(rows), CHUNK):
            entries += await inspector.inspect(rows[start : start + CHUNK])
            if sum(len(entry.annotations or ()) for entry in entries) >= MAX_ANNOTATIONS:
                break
        return entries

    def advance(batch: Batch, position: int) -> None:
        batch.checkpoint = {"position": position, "last": last}
        batch.progress = min(1.0, READ + (1 - READ) * position / max(last, 1))

    policy = Policy.of_import(options.existing, restore_removed=options.restore_removed)
    await merge_all(database, job, policy, after=job.checkpoint["position"], read=read, advance=advance)
