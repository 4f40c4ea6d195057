"""A file for an import that is too large for a request: it is uploaded in parts, each to a URL of its own, and never
put together. Parts are numbered from 0 and all have `PART` bytes, but for the last one. Any of them may be sent again;
so a script that lost its connection asks which are missing, and sends those.

While an import of them is queued or running, the parts are sealed: servers refuse to replace one. A bucket cannot, so
an import also notes what it found, and reads nothing else.

A key belongs to the token that requests it; to all others it is unknown. The parts are staged where uploads are. They
are cleared away when an import has succeeded that did not skip everything, and else when nobody has asked for them for
a week; and once more an hour after their last URL has ended, as until then some may be put again. Objects go before
rows: whoever dies in between leaves the row to the next sweep.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, Invalid, NotFound
from db.formats import names
from db.history.changes import RetryTransaction, lock_dataset
from db.identity.tokens import Identity
from db.ingest.uploads.destinations import expect_room, lock_names, open_store
from db.ingest.uploads.files import MAX_STAGED, STAGING, checked_name
from db.ingest.uploads.staging import Awaited
from db.ingest.uploads.upload_requests import GRACE, KEY_BYTES, seconds_until
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, StoredObject, Stores
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
PART: Final = 8 * 1024 * 1024  # bytes
MAX_SIZE: Final = 64 * 1024**3  # bytes of a file
MAX_MISSING: Final = 100  # parts that are listed at once
LOOKED_AT: Final = 100  # parts that are looked at together
KEPT: Final = timedelta(days=7)  # since they were asked for last
EXPIRED: Final = "No file was uploaded with this key, or it has expired: see `requestImportUpload`."
BATCH: Final = 10  # files that a sweep clears at once


class PartsChanged(Conflict):
    def __init__(self) -> None:
        super().__init__("A part of the file was replaced after the import began; it ends here. Import the file again.")


@dataclass(frozen=True, slots=True)
class RequestedParts:
    """A file that a client has. `size` in bytes; `expiry` of the URLs, in seconds since 1970; `max_staged` bytes of all
    files that a dataset waits for."""

    key: str
    file_name: str
    size: int
    expiry: int
    max_staged: int = MAX_STAGED


@dataclass(frozen=True, slots=True)
class PartedUpload:
    """A row. `uploaded`: parts from the first on that are known to be there. `expiry` of the URLs that are made for it
    now."""

    dataset_id: int
    key: str
    file_name: str
    size: int
    staged: str
    uploaded: int
    input_path: str
    expiry: int = 0

    @property
    def count(self) -> int:
        return -(-self.size // PART)

    def size_of(self, number: int) -> int:
        return min(PART, self.size - number * PART)

    def name_of(self, number: int) -> str:
        return f"{self.staged}-{number}"


async def request(session: AsyncSession, dataset_id: int, requested: RequestedParts, *, by: Identity) -> PartedUpload:
    """The upload of a token's key: a new one, or the same as before, kept for longer. Raises Invalid, Conflict, and
    RetryTransaction when it has ended in this moment."""
    key = requested.key
    if not (names.is_storable(key) and key.isprintable() and 1 <= len(key.encode()) <= KEY_BYTES):
        raise Invalid(f"A key has 1 to {KEY_BYTES} bytes, none of them a control character.")
    if not 1 <= requested.size <= MAX_SIZE:
        most = MAX_SIZE // 1024**3
        raise Invalid(f"The file has 1 byte to {most} GiB; put larger ones where the server reads.", most=MAX_SIZE)
    await lock_dataset(session, dataset_id, by)
    await lock_names(session, dataset_id)
    own = key_of(by, key)
    await sql.run(session, SQL.set_aside, dataset_id=dataset_id, key=own)
    if not await sql.value(session, SQL.is_requested, dataset_id=dataset_id, key=own):
        await expect_room(session, dataset_id, requested.size, requested.max_staged, by=by)
    row = await sql.first(
        session,
        SQL.request,
        dataset_id=dataset_id,
        key=own,
        file_name=checked_name(requested.file_name),
        size=requested.size,
        staged=secrets.token_hex(16),
        kept=KEPT,
        urls_until=datetime.fromtimestamp(requested.expiry, UTC),
    )
    if row is None:
        raise RetryTransaction
    found = PartedUpload(**row)
    if (found.file_name, found.size) != (checked_name(requested.file_name), requested.size):
        known = names.excerpt(found.file_name)
        raise Conflict(f"This key belongs to `{known}` of {found.size} bytes; use another key for another file.")
    return replace(found, expiry=requested.expiry)


def key_of(by: Identity, key: str) -> str:
    """As it is stored: two tokens may have the same one, and neither sees the other's."""
    return f"{by.token_id}:{key}"


async def missing_parts(
    database: Database, stores: Stores, upload: PartedUpload, *, most: int | None = None
) -> list[int]:
    """The first parts that are not there, or not whole. Raises StorageError."""
    most = most or MAX_MISSING
    store = open_store(stores, upload.input_path)
    missing: list[int] = []
    number = upload.uploaded
    while number < upload.count and len(missing) < most:
        some = range(number, min(number + LOOKED_AT, upload.count))
        found = await _stat_parts(store, upload, some)
        missing += [
            each for each, part in zip(some, found, strict=True) if part is None or part.size != upload.size_of(each)
        ]
        number = some.stop
    whole = missing[0] if missing else number
    if whole > upload.uploaded:
        async with database.writing() as session:
            await sql.run(session, SQL.note_uploaded, staged=upload.staged, uploaded=whole)
    return missing[:most]


async def urls(stores: Stores, upload: PartedUpload, numbers: Iterable[int]) -> list[str | None]:
    """The store's own URLs; None where it has none."""
    store, seconds = open_store(stores, upload.input_path), seconds_until(upload.expiry)
    return [
        await store.upload_url(STAGING + upload.name_of(each), size=upload.size_of(each), seconds=seconds)
        for each in numbers
    ]


async def whole(database: Database, stores: Stores, dataset_id: int, key: str, *, by: Identity) -> PartedUpload:
    """The upload of a token's key, all of whose parts are there. Raises NotFound, Invalid."""
    row = None
    if names.is_storable(key) and by.sees(dataset_id):
        async with database.reading() as connection:
            row = await sql.first(connection, SQL.of_key, dataset_id=dataset_id, key=key_of(by, key))
    if row is None:
        raise NotFound(EXPIRED)
    upload = PartedUpload(**row)
    if missing := await missing_parts(database, stores, upload, most=1):
        raise Invalid(f"Part {missing[0]} of the file is missing; `requestImportUpload` lists all that are.")
    return upload


async def staged_as(database: Database, name: str) -> PartedUpload:
    """The upload whose parts have this name, also while an import of it ends. Raises NotFound."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.staged_as, name=name)
    if row is None:
        raise NotFound(EXPIRED)
    return PartedUpload(**row)


async def awaited_part(database: Database, name: str, number: int) -> Awaited | None:
    """The part that is awaited under a URL that we signed. None: none is, or no longer."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.awaited, name=name)
    if row is None:
        return None
    columns = dict(row)
    is_sealed, upload = columns.pop("is_sealed"), PartedUpload(**columns)
    if number >= upload.count:
        return None
    path = STAGING + upload.name_of(number)
    return Awaited(upload.dataset_id, upload.input_path, path, upload.size_of(number), is_sealed)


async def found_parts(store: Store, upload: PartedUpload) -> list[StoredObject]:
    """All parts as they are now. Raises PartsChanged, if not all are there; StorageError."""
    found: list[StoredObject] = []
    for first in range(0, upload.count, LOOKED_AT):
        some = range(first, min(first + LOOKED_AT, upload.count))
        for each, part in zip(some, await _stat_parts(store, upload, some), strict=True):
            if part is None or part.size != upload.size_of(each):
                raise PartsChanged
            found.append(part)
    return found


def seal_of(found: Iterable[StoredObject]) -> str:
    """Another one where any part is another."""
    return hashlib.sha256("\0".join(part.stamp for part in found).encode()).hexdigest()


async def _stat_parts(store: Store, upload: PartedUpload, numbers: Iterable[int]) -> list[StoredObject | None]:
    return await asyncio.gather(*(store.stat(STAGING + upload.name_of(each)) for each in numbers))


async def finish(database: Database, staged: str, *, job_id: int) -> None:
    """Nobody needs the parts any more, unless the job skipped everything: the next sweep clears them away."""
    async with database.writing() as session:
        await sql.run(session, SQL.expire, staged=staged, job_id=job_id)


async def sweep(database: Database, opener: OpenStore) -> None:
    """Clear away what is due."""
    while True:
        async with database.writing() as session:
            due = await sql.run(session, SQL.due, count=BATCH)
        if not due:
            return
        gone = [row["staged"] for row in due if await _is_gone(opener, row)]
        async with database.writing() as session:
            await sql.run(session, SQL.forget, staged=gone, grace=GRACE)


async def clear_file(database: Database, opener: OpenStore, staged: str) -> None:
    """Clear away the parts of a file that was canceled. What cannot be cleared now is left to the sweep."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.staged_as, name=staged)
    if row is not None and await _is_gone(opener, row):
        async with database.writing() as session:
            await sql.run(session, SQL.forget, staged=[staged], grace=GRACE)


async def clear(database: Database, opener: OpenStore, *, dataset_id: int) -> None:
    """Clear away all parts of a dataset that was deleted. What cannot be cleared now stays."""
    async with database.reading() as connection:
        rows = await sql.run(connection, SQL.of_dataset, dataset_id=dataset_id)
    for row in rows:
        await _is_gone(opener, row)


async def _is_gone(opener: OpenStore, row: asyncpg.Record) -> bool:
    upload = PartedUpload(**row)
    paths: Sequence[str] = [STAGING + upload.name_of(each) for each in range(upload.count)]
    try:
        return not await opener(upload.input_path).discard(paths)
    except DomainError:
        return False
