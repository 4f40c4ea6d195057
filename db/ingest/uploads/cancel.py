"""cancelUploads: what was requested, and is not needed any more, ends at once. What was put is cleared away, the bytes
that were announced no longer count, and the keys and the names of the files are free. Keys are whose they are: those of
files for imports the token's, others the dataset's."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError
from db.formats import names
from db.history.changes import lock_dataset
from db.identity.tokens import Identity
from db.ingest.uploads import parts
from db.ingest.uploads.completion import DISCARD_TIMEOUT
from db.ingest.uploads.destinations import lock_names, open_store
from db.ingest.uploads.files import STAGING
from db.ingest.uploads.upload_requests import check_count
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Stores

SQL: Final = sql.load(__file__)
MAX_KEYS: Final = 1_000
CANCELED: Final = "The upload was canceled; request it again."


@dataclass(frozen=True, slots=True)
class CanceledUploads:
    """`staged`: the names of what was requested, and `files` of files for imports; the keys of others."""

    dataset_id: int
    input_path: str
    staged: tuple[str, ...]
    files: tuple[str, ...]
    not_found_keys: tuple[str, ...]
    not_found_import_keys: tuple[str, ...]


async def cancel(
    session: AsyncSession, dataset_id: int, keys: Sequence[str], import_keys: Sequence[str], *, by: Identity
) -> CanceledUploads:
    """Raises Conflict, while an import of such a file is queued or running."""
    check_count([*keys, *import_keys], MAX_KEYS, "keys")
    await lock_dataset(session, dataset_id, by)
    await lock_names(session, dataset_id)
    storable = list(filter(names.is_storable, keys))
    own = {parts.key_of(by, key): key for key in import_keys if names.is_storable(key)}
    of_dataset = {"dataset_id": dataset_id, "keys": list(own)}
    sealed = await sql.value(session, SQL.sealed, **of_dataset)
    if sealed is not None:
        raise Conflict(f"An import of `{names.excerpt(own[sealed])}` is queued or running: cancel that first.")
    canceled = await sql.run(session, SQL.cancel, dataset_id=dataset_id, keys=storable, error=CANCELED)
    ended = await sql.run(session, SQL.cancel_files, **of_dataset)
    found, found_files = {row["key"] for row in canceled}, {own[row["key"]] for row in ended}
    return CanceledUploads(
        dataset_id,
        await sql.value(session, SQL.input_path, dataset_id=dataset_id),
        tuple(row["staged"] for row in canceled),
        tuple(row["staged"] for row in ended),
        tuple(key for key in dict.fromkeys(keys) if key not in found),
        tuple(key for key in dict.fromkeys(import_keys) if key not in found_files),
    )


async def clear_canceled(database: Database, stores: Stores, canceled: CanceledUploads) -> None:
    """Clear away what was put. What resists, or takes too long, is left to the sweeps."""
    with suppress(DomainError, TimeoutError):
        async with asyncio.timeout(DISCARD_TIMEOUT):
            await open_store(stores, canceled.input_path).discard([STAGING + name for name in canceled.staged])
            for name in canceled.files:
                await parts.clear_file(database, stores.open, name)
