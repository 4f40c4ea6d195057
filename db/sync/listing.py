"""First stage: everything below the input path goes into the staging table. Memory holds one batch of it at a time."""

from dataclasses import dataclass, field
from typing import Final

from db.engine import Database
from db.images import SUFFIXES
from db.jobs import Batch, Claim, in_batch
from db.names import storable
from db.paths import LENGTH, stem, suffix
from db.storage import Page, Store, StoredObject

BATCH: Final = 10_000  # objects in a COPY
COLUMNS: Final = ("job_id", "path", "stem", "sidecar", "size", "modified_at", "etag", "changed_at")


@dataclass(slots=True)
class Listing:
    """What was seen. `complete`: nothing can have been overlooked, so what is missing has vanished."""

    sidecar: str  # its suffix
    scanned: int = 0
    ignored: int = 0
    refused: int = 0
    complete: bool = True
    waiting: list[StoredObject] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def take(self, page: Page) -> None:
        self.scanned += len(page.objects)
        for directory in page.unreadable:
            self.complete = False
            self.warnings.append((shown(directory), "The directory cannot be read, so this sync removes nothing."))
        for directory in page.too_long:
            self.warnings.append((shown(directory), f"The files in it have paths of more than {LENGTH} bytes."))
        for found in page.objects:
            kind = suffix(found.path)
            if kind not in SUFFIXES and kind != self.sidecar:
                self.ignored += 1
            elif storable(found.path) and len(found.path.encode()) <= LENGTH:
                self.waiting.append(found)
            else:
                self.refused += 1
                self.warnings.append((shown(found.path), f"A path is text in UTF-8 of at most {LENGTH} bytes."))


async def list_objects(database: Database, job: Claim, store: Store, *, sidecar: str) -> Listing:
    """List images, and sidecars of this suffix, from the start. Raises StorageError, and then nothing was merged."""
    await in_batch(database, job, lambda batch: _clear(batch, job))
    listing = Listing(sidecar)
    async for page in store.pages():
        listing.take(page)
        job.report(scanned=listing.scanned, progress=0.1 * listing.scanned / (listing.scanned + BATCH))
        if len(listing.waiting) >= BATCH:
            await _flush(database, job, listing)
    await _flush(database, job, listing)
    return listing


async def _clear(batch: Batch, job: Claim) -> None:
    await batch.connection.execute("DELETE FROM sync_object WHERE job_id = $1", job.id)
    await batch.connection.execute("DELETE FROM sync_item WHERE job_id = $1", job.id)


async def _flush(database: Database, job: Claim, listing: Listing) -> None:
    async def copy(batch: Batch) -> None:
        batch.warnings.extend(listing.warnings)
        records = _records(job.id, listing)
        await batch.connection.copy_records_to_table("sync_object", records=records, columns=COLUMNS)

    await in_batch(database, job, copy)
    listing.waiting.clear()
    listing.warnings.clear()


def _records(job_id: int, listing: Listing) -> list[tuple[object, ...]]:
    records: list[tuple[object, ...]] = []
    for found in listing.waiting:
        sidecar = suffix(found.path) == listing.sidecar
        etag = found.stamp if sidecar else found.etag
        about = (found.size, found.modified_at, etag, found.changed_at)
        records.append((job_id, found.path, stem(found.path), sidecar, *about))
    return records


def shown(path: str) -> str:
    """A path from a file system as text that can be stored and shown, cut to a bearable length."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "�")[: LENGTH // 4]
