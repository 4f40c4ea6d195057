"""First stage: what lies below the input path goes into the staging table. One batch at a time is in memory."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

import orjson

from db.concurrency_limits import one_ahead
from db.formats.images import SUFFIXES
from db.formats.names import is_storable
from db.formats.paths import LENGTH, path_excerpt, suffix
from db.formats.sidecars.pairing import image_keys, sidecar_keys
from db.ingest.staging import begin_staging
from db.ingest.sync.options import Options
from db.ingest.sync.rules import Ignored, Reason, Rules
from db.jobs import Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Page, Scope, Store, StoredObject

SQL: Final = sql.load(__file__)
BATCH: Final = 5_000  # objects in a transaction
ROWS: Final = 500  # that are copied at once; while the driver encodes them, no other request is served
STAGING: Final = ("sync_object", "sync_unchanged", "sync_sidecar", "sync_item")
COLUMNS: Final = ("job_id", "path", "keys", "sidecar", "size", "modified_at", "etag", "changed_at", "reason")
UNREADABLE: Final = "The directory cannot be read, so this sync removes nothing."
TOO_LONG: Final = f"The files in it have paths of more than {LENGTH} bytes."
NOT_ALLOWED: Final = "The link leads outside the directories that this server's owner allowed; it is not followed."

Found = tuple[StoredObject, Reason | None]
Warned = tuple[str, str]  # a path and a message


@dataclass(frozen=True, slots=True)
class KnownDirectories:
    """Directories of which none contains another, and those above them. Their paths end with `/`."""

    directories: frozenset[str]
    above: frozenset[str]

    @classmethod
    def of(cls, directories: Iterable[str]) -> Self:
        found = frozenset(directories)
        return cls(found, frozenset(above for each in found for above in _directories(each[:-1])))

    @property
    def scope(self) -> Scope:
        return Scope(
            tuple(sorted(self.directories)),
            lambda directory: directory not in self.above and not self.contain(directory),
        )

    def contain(self, path: str) -> bool:
        """A file or a directory, whether or not its path ends with `/`; also one of these directories."""
        return any(each in self.directories for each in _directories(f"{path}/"))


def _directories(path: str) -> Iterator[str]:
    """Those on the way to a path, from the highest on."""
    return (path[: at + 1] for at, character in enumerate(path) if character == "/")


@dataclass(slots=True)
class Listing:
    """What was listed. `complete`: nothing can have been overlooked, so what is missing has vanished. `images`: the sum
    of the images' hashes, whatever their order; each process has others.

    `skipped`: directories that were passed over since they were looked up. `directory`: that of the object before, and
    `above`: which one above it is passed over. `only`: nothing else is added, and nothing is passed over.
    """

    rules: Rules
    scanned: int = 0
    refused: int = 0
    complete: bool = True
    images: int = 0
    ignored: Ignored = field(default_factory=Ignored)
    has_sidecars: bool = False
    only: KnownDirectories | None = None
    directory: str = ""
    above: str | None = None
    skipped: list[str] = field(default_factory=list)
    waiting: list[Found] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return f"{self.images % 2**64:x}"

    def add(self, page: Page) -> None:
        for directory in filter(self._is_listed, page.unreadable):
            self.complete = False
            self.ignored.add(Reason.UNREADABLE, directory)
            self.warnings.append((path_excerpt(directory), UNREADABLE))
        for directory in filter(self._is_listed, page.too_long):
            self.warnings.append((path_excerpt(directory), TOO_LONG))
        for path, reason in page.ignored:
            if self._is_listed(path):
                self.scanned += 1
                self.ignored.add(Reason(reason), path)
                if reason == Reason.LINK_NOT_ALLOWED:
                    self.warnings.append((path_excerpt(path), NOT_ALLOWED))
        if self.only is None:
            self.skipped += page.skipped
        for found in page.objects:
            if self._is_listed(found.path):
                self.scanned += 1
                self._add_object(found)

    def pass_over(self, directories: Iterable[str]) -> None:
        """Count directories of which nothing else is listed."""
        for directory in directories:
            self.scanned += 1
            self.ignored.add(self.rules.passes_over(directory) or Reason.EXCLUDED, directory[:-1])

    def _is_listed(self, path: str) -> bool:
        """Stores without directories list those as well that are passed over, and their objects follow one another."""
        if self.only is not None:
            return self.only.contain(path)
        directory = path[: path.rfind("/") + 1]
        if directory != self.directory:
            above, self.directory = self.above, directory
            self.above = self.rules.passed_over(directory)
            if self.above is not None and self.above != above:
                self.skipped.append(self.above)
        return self.above is None

    def take(self) -> tuple[list[Found], list[Warned]]:
        """What is to be staged, and the warnings, both since this was called before."""
        found, warnings = self.waiting, self.warnings
        self.waiting, self.warnings = [], []
        return found, warnings

    def _add_object(self, found: StoredObject) -> None:
        """An image that is passed over is staged as well: there may be a sample of it."""
        kind = suffix(found.path)
        is_image = kind in SUFFIXES
        if is_image:
            self.images += hash(found)
        reason = self.rules.reason_against(found.path, kind)
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


async def known_directories(database: Database, dataset_id: int, listing: Listing) -> list[str]:
    """Of the directories that were passed over, those in which the dataset knows files; the others are counted."""
    skipped, listing.skipped = listing.skipped, []
    storable = [each for each in skipped if is_storable(each)]
    if not skipped:
        return []
    async with database.reading() as connection:
        rows = await connection.fetch(SQL.known_directories, dataset_id, storable)
    known = {row["directory"] for row in rows}
    listing.pass_over(each for each in skipped if each not in known)
    return sorted(known)


async def scope_of(database: Database, dataset_id: int, rules: Rules) -> Scope:
    """What is listed first: all that may be taken, and all known files outside the directories that are passed over."""
    prefixes = rules.prefixes
    if prefixes != ("",):
        ends = [_end(each) for each in prefixes]
        async with database.reading() as connection:
            if await connection.fetchval(SQL.is_known_between, dataset_id, ["", *ends], [*prefixes, None]):
                prefixes = ("",)
    return Scope(prefixes, lambda directory: rules.passes_over(directory) is not None)


async def pages_of(
    database: Database, dataset_id: int, store: Store, listing: Listing
) -> AsyncGenerator[tuple[list[Found], list[Warned]], None]:
    """Adds page after page to a listing, and has what each brings. Directories that are passed over are listed only if
    the dataset knows files in them: these stay samples as long as they are there."""
    known: list[str] = []
    async for page in store.pages(await scope_of(database, dataset_id, listing.rules)):
        await asyncio.to_thread(listing.add, page)  # takes some milliseconds
        known += await known_directories(database, dataset_id, listing)
        yield listing.take()
    if known:
        listing.only = KnownDirectories.of(known)
        async for page in store.pages(listing.only.scope):
            await asyncio.to_thread(listing.add, page)
            yield listing.take()


def _end(directory: str) -> str:
    """What follows all paths in a directory, whose path ends with `/`."""
    return f"{directory[:-1]}0"


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
        await begin_staging(batch, job)

    async def write(batch: Batch, found: Sequence[Found], warnings: Sequence[Warned]) -> None:
        compared = [each for each, reason in found if only_differences and reason is None]
        staged = [each for each in found if not only_differences or each[1] is not None]
        columns = await asyncio.to_thread(_columns, compared)
        records = await asyncio.to_thread(_records, job.id, staged, listing.rules)
        batch.warnings.extend(warnings)
        for start in range(0, len(records), ROWS):
            rows = records[start : start + ROWS]
            await batch.connection.copy_records_to_table("sync_object", records=rows, columns=COLUMNS)
        if compared:
            await batch.connection.execute(SQL.stage_differences, job.id, job.dataset_id, *columns)

    await in_batch(database, job, clear)
    batches = _batches(database, job, store, listing, only_differences=only_differences)
    async with aclosing(one_ahead(batches)) as ahead:
        async for found, warnings in ahead:
            await in_batch(database, job, partial(write, found=found, warnings=warnings))
    return listing


async def _batches(
    database: Database, job: Claim, store: Store, listing: Listing, *, only_differences: bool
) -> AsyncGenerator[tuple[list[Found], list[Warned]], None]:
    """What a listing brings, as much as one transaction takes."""
    found: list[Found] = []
    warnings: list[Warned] = []
    async with aclosing(pages_of(database, job.dataset_id, store, listing)) as pages:
        async for more, warned in pages:
            if only_differences and listing.has_sidecars:
                return
            job.report(scanned=listing.scanned, progress=0.1 * listing.scanned / (listing.scanned + 10_000))
            found += more
            warnings += warned
            if len(found) >= BATCH or len(warnings) >= BATCH:
                yield found, warnings
                found, warnings = [], []
    yield found, warnings


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


def _columns(found: Sequence[StoredObject]) -> list[str]:
    """Each as one text, texts as JSON and numbers as an array of Postgres: of a list, the driver would look at every
    element in the event loop."""
    names = ("path", "size", "modified", "changed", "etag")
    path, *numbers, etag = (orjson.dumps([getattr(each, name) for each in found]).decode() for name in names)
    return [path, *(f"{{{column[1:-1]}}}" for column in numbers), etag]


async def is_unchanged(database: Database, dataset_id: int, store: Store, rules: Rules, images: str) -> bool:
    """Whether the images, listed once more, are those of which `fingerprint` was this. Nothing is staged."""
    listing = Listing(rules)
    async with aclosing(one_ahead(pages_of(database, dataset_id, store, listing))) as pages:
        async for _ in pages:
            pass
    return listing.fingerprint == images
