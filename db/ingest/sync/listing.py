"""First stage: what lies below the input path goes into the staging table. One batch at a time is in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Final

from db.formats.images import SUFFIXES
from db.formats.names import is_storable
from db.formats.paths import LENGTH, path_excerpt, suffix
from db.formats.sidecars.pairing import image_keys, sidecar_keys
from db.ingest.sync.options import Options
from db.ingest.sync.rules import Ignored, Reason, Rules
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Page, Store, StoredObject

SQL: Final = sql.load(__file__)
BATCH: Final = 2_000  # objects in a transaction; while they are sent to Postgres, no other request is served
STAGING: Final = ("sync_object", "sync_unchanged", "sync_sidecar", "sync_item")
COLUMNS: Final = ("job_id", "path", "keys", "sidecar", "size", "modified_at", "etag", "changed_at", "reason")
UNREADABLE: Final = "The directory cannot be read, so this sync removes nothing."
TOO_LONG: Final = f"The files in it have paths of more than {LENGTH} bytes."
NOT_ALLOWED: Final = "The link leads outside the directories that this server's owner allowed; it is not followed."

Found = tuple[StoredObject, Reason | None]


@dataclass(slots=True)
class Listing:
    """What was listed. `complete`: nothing can have been overlooked, so what is missing has vanished. `images`: the sum
    of a hash of each image's path, size, times and etag, whatever their order."""

    rules: Rules
    scanned: int = 0
    refused: int = 0
    complete: bool = True
    images: int = 0
    ignored: Ignored = field(default_factory=Ignored)
    has_sidecars: bool = False
    waiting: list[Found] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return f"{self.images:x}"

    def add(self, page: Page) -> None:
        self.scanned += len(page.objects) + len(page.ignored)
        for directory in page.unreadable:
            self.complete = False
            self.ignored.add(Reason.UNREADABLE, directory)
            self.warnings.append((path_excerpt(directory), UNREADABLE))
        for directory in page.too_long:
            self.warnings.append((path_excerpt(directory), TOO_LONG))
        for path, reason in page.ignored:
            self.ignored.add(Reason(reason), path)
            if reason == Reason.LINK_NOT_ALLOWED:
                self.warnings.append((path_excerpt(path), NOT_ALLOWED))
        for found in page.objects:
            self._add_object(found)

    def take(self) -> tuple[list[Found], list[tuple[str, str]]]:
        """What is to be staged, and the warnings, both since this was called before."""
        found, warnings = self.waiting, self.warnings
        self.waiting, self.warnings = [], []
        return found, warnings

    def _add_object(self, found: StoredObject) -> None:
        """An image that is passed over is staged as well: there may be a sample of it."""
        kind = suffix(found.path)
        is_image = kind in SUFFIXES
        if is_image:
            times = found.modified_at.timestamp(), found.changed_at and found.changed_at.timestamp()
            facts = repr((found.path, found.size, times, found.etag))
            hashed = int.from_bytes(blake2b(facts.encode(), digest_size=8).digest())
            self.images = (self.images + hashed) % 2**64
        reason = self.rules.reason_against(found.path)
        is_other = not is_image and kind != self.rules.sidecar
        can_be_path = is_storable(found.path) and len(found.path.encode()) <= LENGTH
        if is_other and reason is Reason.HIDDEN:
            self.ignored.add(reason, found.path)
        elif is_other or (reason is Reason.SUFFIX and not can_be_path):
            self.ignored.add(Reason.SUFFIX, found.path, suffix=kind)
        elif not can_be_path:
            self.refused += 1
            self.warnings.append((path_excerpt(found.path), f"A path is text in UTF-8 of at most {LENGTH} bytes."))
        elif found.link_to is not None and self.rules.includes(found.link_to):
            self.ignored.add(Reason.LINK_REPEATED, found.path)
        elif reason is Reason.EXCLUDED and not is_image:
            self.ignored.add(reason, found.path)
        else:
            self.has_sidecars = self.has_sidecars or not is_image
            self.waiting.append((found, reason))


async def list_objects(database: Database, job: Claim, store: Store, *, rules: Rules, options: Options) -> Listing:
    """List images and sidecars, from the start. Raises StorageError, and then nothing was merged.

    What is as it was is not staged, unless there are sidecars: each is compared with all images.
    """
    if options.dry_run:
        await in_batch(database, job, partial(_forget_counts, job=job))
    async with database.reading() as connection:
        is_without_sidecars = await connection.fetchval(SQL.is_without_sidecars, job.dataset_id)
    if is_without_sidecars and not options.verify_contents:
        listing = await _stage(database, job, store, Listing(rules), only_differences=True)
        if not listing.has_sidecars:
            return listing
    return await _stage(database, job, store, Listing(rules), only_differences=False)


async def _forget_counts(batch: Batch, *, job: Claim) -> None:
    """A dry run that begins again has changed nothing, and counts from the start."""
    await batch.connection.execute(SQL.forget_counts, job.id)


async def _stage(database: Database, job: Claim, store: Store, listing: Listing, *, only_differences: bool) -> Listing:
    """Ends early if only differences are to be staged, and there is a sidecar."""

    async def clear(batch: Batch) -> None:
        for table in STAGING:
            await batch.connection.execute(f"DELETE FROM {table} WHERE job_id = $1", job.id)

    async def flush() -> None:
        found, warnings = listing.take()
        compared = [each for each, reason in found if only_differences and reason is None]
        staged = [each for each in found if not only_differences or each[1] is not None]
        columns = await asyncio.to_thread(_columns, compared)
        records = await asyncio.to_thread(_records, job.id, staged, listing.rules)

        async def write(batch: Batch) -> None:
            batch.warnings.extend(warnings)
            await batch.connection.copy_records_to_table("sync_object", records=records, columns=COLUMNS)
            if compared:
                await batch.connection.execute(SQL.stage_differences, job.id, job.dataset_id, *columns)

        await in_batch(database, job, write)

    await in_batch(database, job, clear)
    async with aclosing(_one_ahead(store.pages())) as pages:
        async for page in pages:
            await asyncio.to_thread(listing.add, page)  # takes some milliseconds
            if only_differences and listing.has_sidecars:
                return listing
            job.report(scanned=listing.scanned, progress=0.1 * listing.scanned / (listing.scanned + 10_000))
            if len(listing.waiting) >= BATCH or len(listing.warnings) >= BATCH:
                await flush()
    await flush()
    return listing


def _records(job_id: int, found: Sequence[Found], rules: Rules) -> list[tuple[object, ...]]:
    records: list[tuple[object, ...]] = []
    for each, reason in found:
        is_sidecar, etag = suffix(each.path) == rules.sidecar, each.etag
        keys = sidecar_keys(each.path) if is_sidecar else image_keys(each.path)
        if is_sidecar:  # another etag once the dataset allows any label name: then every sidecar is read again
            etag = each.stamp if rules.label_names == "STANDARD" else f"{rules.label_names}-{each.stamp}"
        facts = (each.size, each.modified_at, etag, each.changed_at)
        records.append((job_id, each.path, keys, is_sidecar, *facts, reason))
    return records


def _columns(found: Sequence[StoredObject]) -> list[list[object]]:
    return [[getattr(each, name) for each in found] for name in ("path", "size", "modified_at", "changed_at", "etag")]


async def _one_ahead(pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
    """The pages, each of which is listed while the one before is staged."""
    ahead = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await ahead) is not None:
            ahead = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


async def is_unchanged(store: Store, rules: Rules, images: str) -> bool:
    """Whether the images, listed once more, are those of which `fingerprint` was this. Nothing is staged."""
    listing = Listing(rules)
    async for page in store.pages():
        await asyncio.to_thread(listing.add, page)
        listing.take()
    return listing.fingerprint == images
