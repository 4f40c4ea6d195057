"""First stage: everything below the input path goes into the staging table. One batch at a time is in memory."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from db.formats.images import SUFFIXES
from db.formats.names import is_storable
from db.formats.paths import LENGTH, path_excerpt, suffix
from db.formats.sidecars.pairing import image_keys, sidecar_keys
from db.ingest.merge import stage
from db.ingest.sync.rules import Ignored, Reason, Rules
from db.jobs import Batch, Claim, in_batch
from db.postgres.engine import Database
from db.storage import Page, Store, StoredObject

BATCH: Final = 10_000  # objects in a COPY
COLUMNS: Final = ("job_id", "path", "keys", "sidecar", "size", "modified_at", "etag", "changed_at", "reason")
UNREADABLE: Final = "The directory cannot be read, so this sync removes nothing."
TOO_LONG: Final = f"The files in it have paths of more than {LENGTH} bytes."
NOT_ALLOWED: Final = "The link leads outside the directories that this server's owner allowed; it is not followed."


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
    waiting: list[tuple[StoredObject, Reason | None]] = field(default_factory=list)
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

    def _add_object(self, found: StoredObject) -> None:
        """An image that is passed over is staged as well: there may be a sample of it."""
        kind = suffix(found.path)
        is_image = kind in SUFFIXES
        if is_image:
            facts = repr((found.path, found.size, found.modified_at.timestamp(), found.changed_at, found.etag))
            hashed = int.from_bytes(blake2b(facts.encode(), digest_size=8).digest())
            self.images = (self.images + hashed) % 2**64
        reason = self.rules.reason_against(found.path)
        if not is_image and kind != self.rules.sidecar:
            if reason is Reason.HIDDEN:
                self.ignored.add(reason, found.path)
            else:
                self.ignored.add(Reason.SUFFIX, found.path, suffix=kind)
        elif not is_storable(found.path) or len(found.path.encode()) > LENGTH:
            self.refused += 1
            self.warnings.append((path_excerpt(found.path), f"A path is text in UTF-8 of at most {LENGTH} bytes."))
        elif found.link_to is not None and self.rules.includes(found.link_to):
            self.ignored.add(Reason.LINK_REPEATED, found.path)
        elif reason is Reason.EXCLUDED and not is_image:
            self.ignored.add(reason, found.path)
        else:
            self.waiting.append((found, reason))


async def list_objects(database: Database, job: Claim, store: Store, *, rules: Rules) -> Listing:
    """List images and sidecars, from the start. Raises StorageError, and then nothing was merged."""

    async def clear(batch: Batch) -> None:
        for table in ("sync_object", "sync_sidecar", "sync_item"):
            await batch.connection.execute(f"DELETE FROM {table} WHERE job_id = $1", job.id)

    async def flush() -> None:
        records = []
        for found, reason in listing.waiting:
            is_sidecar, etag = suffix(found.path) == rules.sidecar, found.etag
            keys = sidecar_keys(found.path) if is_sidecar else image_keys(found.path)
            if is_sidecar:  # another etag once the dataset allows any label name: then every sidecar is read again
                etag = found.stamp if rules.label_names == "STANDARD" else f"{rules.label_names}-{found.stamp}"
            facts = (found.size, found.modified_at, etag, found.changed_at)
            records.append((job.id, found.path, keys, is_sidecar, *facts, reason))
        await stage(database, job, "sync_object", COLUMNS, records, listing.warnings)
        listing.waiting.clear()
        listing.warnings.clear()

    await in_batch(database, job, clear)
    listing = Listing(rules)
    async for page in store.pages():
        listing.add(page)
        job.report(scanned=listing.scanned, progress=0.1 * listing.scanned / (listing.scanned + BATCH))
        if len(listing.waiting) >= BATCH or len(listing.warnings) >= BATCH:
            await flush()
    await flush()
    return listing


async def is_unchanged(store: Store, rules: Rules, images: str) -> bool:
    """Whether the images, listed once more, are those of which `fingerprint` was this. Nothing is staged."""
    listing = Listing(rules)
    async for page in store.pages():
        listing.add(page)
        listing.waiting.clear()
        listing.warnings.clear()
    return listing.fingerprint == images
