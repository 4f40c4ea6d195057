"""Imports: what a manifest says goes into a dataset, so that what the reference system exported can be moved here.

    stage ──▶ inspect ──▶ merge
    COPY      images,     bounded batches, each a change
              files

The manifest is staged line by line first: only the whole of it shows which folder its images share, and which lines
name the same image. From there each batch carries its checkpoint, so an import that died goes on where it was. Done
twice, each stage ends as if done once.
"""

from dataclasses import asdict

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, StorageError
from db.identity.tokens import Identity
from db.ingest.enqueue import enqueue
from db.ingest.imports.locations import ReadableLocations, folder_of, location_of
from db.ingest.imports.options import Options, label_names
from db.ingest.imports.reading import expect_size
from db.ingest.imports.stages import run
from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import is_bucket

__all__ = ["Options", "expect_manifest", "folder_of", "label_names", "location_of", "run", "start"]


async def expect_manifest(database: Database, stores: Stores, location: str, *, by: Identity) -> None:
    """There is a manifest at this location, and this token may read it. Raises INVALID_PATH, FILE_TOO_LARGE."""
    dataset_ids = None if by.dataset_ids is None else sorted(by.dataset_ids)
    store, name = await (await ReadableLocations.of(database, stores, dataset_ids)).open(location)
    try:
        found = await store.stat(name)
    except StorageError as failed:
        if is_bucket(location):
            raise
        raise Invalid(f"The manifest cannot be read. {failed.message}", code="INVALID_PATH") from failed
    expect_size(None if found is None else found.size)


async def start(session: AsyncSession, dataset_id: int, options: Options, *, requested_by: str) -> int:
    return await enqueue(session, dataset_id, "IMPORT", asdict(options), requested_by=requested_by)
