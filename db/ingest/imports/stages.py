"""An import from its first stage to its last, or from wherever it was when its worker died."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from typing import Final

import asyncpg

from db.errors import Invalid
from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.formats.patterns import Exclusion
from db.history.changes import no_such_dataset
from db.ingest.entry import Entry, Notice
from db.ingest.imports.contained import ContainedImages
from db.ingest.imports.entries import Inspector
from db.ingest.imports.files import OpenedFiles
from db.ingest.imports.files.images import ImageContents
from db.ingest.imports.files.space import temporary_space
from db.ingest.imports.formats import format_of
from db.ingest.imports.label_files import LabelFiles
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.named_labels import NamedLabels
from db.ingest.imports.options import MANIFEST, Options
from db.ingest.imports.reading import READ, stage_manifest
from db.ingest.imports.record_entries import RecordInspector
from db.ingest.imports.records import opened_files, stage_passed_over, stage_records
from db.ingest.merge import merge_all
from db.ingest.policy import IMPORT_AUTHOR, MANIFEST_AUTHOR, Policy
from db.ingest.staging import expect_staged, is_staged
from db.ingest.uploads import parts
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Stores

SQL: Final = sql.load(__file__)

BATCH: Final = 500  # lines in one transaction
CHUNK: Final = 100  # lines whose images are read together
MAX_BYTES: Final = 64 * 1024 * 1024  # of lines, beyond which a transaction takes no further one
MAX_ANNOTATIONS: Final = 20_000  # after which a transaction takes no further line

NOTHING_CHANGED: Final = "All samples are as the files say already, or these say nothing that is imported."


async def run(database: Database, job: Claim, stores: Stores, limits: ImageLimits = DEFAULT_LIMITS) -> None:
    """Do a claimed import. Raises DomainError (it is no such format, a store fails), Fenced (it was taken over)."""
    options = Options(**job.arguments)
    async with database.reading() as connection:
        dataset = await sql.first(connection, SQL.dataset, id=job.dataset_id)
        is_read = "last" in job.checkpoint and await is_staged(connection, job)
    if dataset is None:
        raise no_such_dataset()
    limits = replace(limits, formats=dataset["image_formats"])
    locations = await ReadableLocations.of(database, stores, options.dataset_ids)
    if options.format is None:
        options = replace(options, format=job.checkpoint.get("format"))
    async with AsyncExitStack() as stack:
        stack.enter_context(temporary_space())
        opened = None
        if options.format != MANIFEST and not (is_read and options.images == "MATCH"):
            opened = await stack.enter_async_context(opened_files(database, job, locations, options))
            options = await _with_format(database, job, opened, options)
        if options.format == MANIFEST and options.uploaded:
            raise Invalid("A manifest is not uploaded, as it names other files; give its `path`.")
        if not is_read and options.format == MANIFEST:
            await stage_manifest(database, job, locations, options, dataset)
        elif not is_read and opened is not None:
            await stage_records(database, job, opened, options, dataset, max_image=limits.size)
        contents = None
        if opened is not None and options.images == "STORE":
            contents = stack.enter_context(closing(ImageContents(opened[0], limits.size)))
        inspector = _inspector(database, job, stores, limits, locations, options, dataset, contents)
        await _merge(database, job, options, inspector)
    labels = inspector.labels.notices(options.file_name) if isinstance(inspector, Inspector) else []
    await in_batch(database, job, lambda batch: _conclude(batch, job, options, labels))
    if options.staged is not None and not options.dry_run:
        await parts.finish(database, options.staged, job_id=job.id)


def _inspector(
    database: Database,
    job: Claim,
    stores: Stores,
    limits: ImageLimits,
    locations: ReadableLocations,
    options: Options,
    dataset: asyncpg.Record,
    contents: ImageContents | None,
) -> Inspector | RecordInspector:
    store, kind, rule = stores.open(dataset["input_path"]), dataset["type"], dataset["label_names"]
    exclude = Exclusion.of(dataset["exclude"])
    if options.format == MANIFEST:
        files = LabelFiles(locations, kind, options.folder, rule)
        labels = NamedLabels.of(options, is_whole=not job.checkpoint["position"])
        return Inspector(database, job, options, kind, store, limits, locations, files, exclude, labels)
    images = None
    if contents is not None:
        images = ContainedImages(database, job.dataset_id, store, contents, limits, options.dry_run)
    return RecordInspector(database, job, options, kind, store, limits, rule, exclude, images)


async def _merge(database: Database, job: Claim, options: Options, inspector: Inspector | RecordInspector) -> None:
    last = job.checkpoint["last"]

    async def read(position: int) -> Sequence[Entry]:
        async with database.reading() as connection:
            rows = await sql.run(connection, SQL.lines, job_id=job.id, position=position, count=BATCH, bytes=MAX_BYTES)
        entries: list[Entry] = []
        for start in range(0, len(rows), CHUNK):
            entries += await inspector.inspect(rows[start : start + CHUNK])
            if sum(len(entry.annotations or ()) for entry in entries) >= MAX_ANNOTATIONS:
                break
        return entries

    def advance(batch: Batch, position: int) -> None:
        batch.checkpoint = job.checkpoint | {"format": options.format, "position": position, "last": last}
        batch.progress = min(1.0, READ + (1 - READ) * position / max(last, 1))

    author = MANIFEST_AUTHOR if options.format == MANIFEST else IMPORT_AUTHOR
    policy = Policy.of_import(options.existing, restore_removed=options.restore_removed, author=author)
    after = job.checkpoint["position"]
    await merge_all(database, job, policy, after=after, read=read, advance=advance, dry_run=options.dry_run)


async def _conclude(batch: Batch, job: Claim, options: Options, labels: Sequence[Notice]) -> None:
    """Say what only the end shows."""
    await expect_staged(batch, job)
    for each in labels:
        batch.notice(each.kind, each.example, each.count)
    if not labels and await sql.value(batch.connection, SQL.changes_nothing, job_id=job.id):
        batch.notice("NOTHING_CHANGED", f"{options.file_name}: {NOTHING_CHANGED}")


async def _with_format(database: Database, job: Claim, opened: OpenedFiles, options: Options) -> Options:
    """With the format, which is found now if it is not known. Raises DomainError."""
    if options.format is not None:
        return options
    files, _ = opened
    try:
        options = replace(options, format=await asyncio.to_thread(format_of, files, images=options.images == "STORE"))
    except Invalid:
        await stage_passed_over(database, job, files)
        raise
    await in_batch(database, job, lambda batch: _remember_format(batch, job, options))
    return options


async def _remember_format(batch: Batch, job: Claim, options: Options) -> None:
    batch.checkpoint = job.checkpoint | {"format": options.format}
    await sql.run(batch.connection, SQL.remember_format, job_id=job.id, format=options.format)
