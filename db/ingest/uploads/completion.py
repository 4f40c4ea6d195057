"""completeUploads: every staged file is checked as every upload is, and written to its path; then the samples of what
was written are made, in one change.

The very bytes that were checked are written: what is put under the URL in between makes no difference. Done again after
a crash at any point it ends as if done once: an object of the same content, at the path that was kept free for it, is
ours, and so is a sample that a sync has made of it in between. What another call has completed is reported as it is.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, Invalid, NotFound, StorageError, Unavailable
from db.formats.images import Format
from db.history import transactions
from db.history.changes import RecordedChange, lock_dataset
from db.identity.tokens import Identity
from db.ingest.entry import Entry
from db.ingest.images import InspectedImage, write_new
from db.ingest.uploads import files
from db.ingest.uploads.destinations import destination_of, free_paths, lock_names, open_store
from db.ingest.uploads.files import MAX_NAMES, STAGING, Checks, Result, Uploaded
from db.ingest.uploads.samples import write_samples
from db.ingest.uploads.upload_requests import GRACE, Upload, check_count, lock_uploads
from db.labelling import label_resolution, labels
from db.labelling.labels import KnownLabels
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, StoredObject, Stores

SQL: Final = sql.load(__file__)
MAX_KEYS: Final = 200  # uploads of one call: as many as can be decoded while its client waits
DISCARD_TIMEOUT: Final = 5.0  # seconds for which a client waits for what concerns us alone


@dataclass(frozen=True, slots=True)
class InspectedUploads:
    """`found` under the keys, each once: an entry or a refusal, and which request it is about."""

    input_path: str
    keys: tuple[str, ...]
    found: Mapping[str, tuple[tuple[int, int], Entry | Result]]


NOTHING = InspectedUploads("", (), {})


async def inspect(
    database: Database, stores: Stores, dataset_id: int, keys: Sequence[str], *, checks: Checks, by: Identity
) -> InspectedUploads:
    """Check every file, and write the objects of those that are good."""
    check_count(keys, MAX_KEYS, "keys")
    destination = await destination_of(database, dataset_id, by=by)
    unique = tuple(dict.fromkeys(keys))
    async with database.writing() as session:
        rows = await lock_uploads(session, dataset_id, unique)
        # No sweep clears away what is staged while it is being completed.
        await sql.run(session, SQL.extend, ids=[row.id for row in rows.values()], grace=GRACE)
    used = label_resolution.distinct(label for row in rows.values() for label in row.all_labels())
    known = await label_resolution.known_without_lock(database, dataset_id, used)
    opened = open_store(stores, destination.input_path)
    inspector = _Inspector(database, dataset_id, opened, destination.formats, known, checks)
    waiting = [rows[key] for key in unique if key in rows and rows[key].is_open]
    found = await asyncio.gather(*(inspector.inspect(position, row) for position, row in enumerate(waiting)))
    by_key = {row.key: (row.request, each) for row, each in zip(waiting, found, strict=True)}
    return InspectedUploads(destination.input_path, unique, by_key)


@dataclass(frozen=True, slots=True)
class _Inspector:
    """`away`: the error of a store that did not answer, after which no file waits for it again."""

    database: Database
    dataset_id: int
    store: Store
    formats: Sequence[Format]
    known: KnownLabels
    checks: Checks
    away: list[RootMissing] = field(default_factory=list)

    async def inspect(self, position: int, row: Upload) -> Entry | Result:
        """What failed in passing leaves the upload open; what is wrong with the file itself ends it."""
        refused = _refused_labels(row, self.known)
        if refused is not None:
            return refused
        async with self.checks.room:
            if self.away:
                return row.refused(self.away[0], ended=False)
            try:
                data = await self._read(row)
                facts = await files.check(row.file_name, data, self.formats, self.checks.decode)
                stored = await self._write(row, data)
                return Entry(position, stored.path, row.file_name, InspectedImage.of(stored, facts))
            except DomainError as error:
                if isinstance(error, RootMissing):
                    self.away.append(error)
                return row.refused(error, ended=not isinstance(error, Unavailable | NotFound))

    async def _read(self, row: Upload) -> bytes:
        [head] = await self.store.heads([STAGING + row.staged], length=row.size + 1)
        if isinstance(head, ObjectMissing):
            raise NotFound("No file was uploaded to this upload's URL yet. Upload the file, then complete it again.")
        if isinstance(head, StorageError):
            raise head
        if head.size != row.size:
            raise Invalid(f"The file has {head.size} bytes, but {row.size} were requested; request the upload again.")
        return head.data

    async def _write(self, row: Upload, data: bytes) -> StoredObject:
        """At the path that was kept free. An object there that is not ours stays; another path is noted before it is
        used, so that a repetition looks there."""
        tried = {row.path}
        path: str | None = row.path
        while path and len(tried) <= MAX_NAMES:
            stored = await write_new(self.store, path, data)
            if stored is not None:
                return stored
            if row.on_conflict == "ERROR":
                break
            move = partial(self._move, row=row, tried=frozenset(tried))
            path = await transactions.write(self.database, move, str)
            tried.add(path)
        raise ObjectExists

    async def _move(self, session: AsyncSession, *, row: Upload, tried: frozenset[str]) -> str:
        """The next path; empty where there is none. Another call that completes the same upload may have moved it
        already, or be done."""
        await lock_names(session, self.dataset_id)
        current: str | None = await sql.value(session, SQL.current_path, id=row.id, generation=row.generation)
        if current is None or current not in tried:
            return current or ""
        [path] = await free_paths(session, self.dataset_id, [row.file_name], "RENAME", without=tried)
        if path is not None:
            await sql.run(session, SQL.move, id=row.id, path=path)
        return path or ""


async def complete(session: AsyncSession, dataset_id: int, inspected: InspectedUploads, *, by: Identity) -> Uploaded:
    await lock_dataset(session, dataset_id, by)
    rows = await lock_uploads(session, dataset_id, inspected.keys)
    results: dict[str, Result] = {}
    waiting: list[tuple[Upload, Entry]] = []
    for key in inspected.keys:
        match _outcome(key, rows.get(key), inspected):
            case Result() as result:
                results[key] = result
            case entry:
                waiting.append((rows[key], entry))
    made, change = await _make_samples(session, dataset_id, waiting, by)
    results |= made
    ended = [(rows[key], one) for key, one in results.items() if one.ended and rows[key].is_open]
    if ended:
        paths = {row.key: entry.path for row, entry in waiting}
        await sql.run(
            session,
            SQL.finish,
            ids=[row.id for row, _ in ended],
            paths=[paths.get(row.key, row.path) for row, _ in ended],
            samples=[one.sample for _, one in ended],
            codes=[one.code for _, one in ended],
            messages=[one.message or None for _, one in ended],
        )
    return Uploaded(
        dataset_id,
        tuple(results[key] for key in inspected.keys),
        change.id if change else None,
        inspected.input_path,
        tuple(STAGING + row.staged for row, _ in ended),
    )


async def discard(stores: Stores, uploaded: Uploaded) -> None:
    """Clear away what was staged. What resists is left to the sweep."""
    if uploaded.staged:
        with suppress(DomainError, TimeoutError):
            async with asyncio.timeout(DISCARD_TIMEOUT):
                await stores.open(uploaded.input_path).discard(uploaded.staged)


def _outcome(key: str, row: Upload | None, inspected: InspectedUploads) -> Result | Entry:
    """The outcome of a key, or the entry of which a sample is to be made."""
    if row is None:
        missing = NotFound("No upload was requested with this key, or it has expired: request it.")
        return Result.refused(missing, None, key, ended=False)
    if not row.is_open and row.error_code is not None:
        return Result(row.file_name, code=row.error_code, message=row.error or "", key=key)
    if not row.is_open and row.sample is None:
        gone = NotFound("Its sample was deleted; request the upload again.", code="SAMPLE_NOT_FOUND")
        return row.refused(gone, ended=True)
    if not row.is_open:
        return Result(row.file_name, row.sample, key=key)
    request, found = inspected.found.get(key, (None, None))
    # What was found out about another request of the key is about an earlier file.
    if found is None or request != row.request:
        return row.refused(Conflict("The upload was requested again in the meantime; complete it again."), ended=False)
    return found


def _refused_labels(row: Upload, known: KnownLabels) -> Result | None:
    """The refusal of an upload whose labels were removed since it was requested; it stays open."""
    try:
        row.label_names(known)
    except DomainError as refused:
        return row.refused(refused, ended=False)
    return None


async def _make_samples(
    session: AsyncSession, dataset_id: int, waiting: Sequence[tuple[Upload, Entry]], by: Identity
) -> tuple[dict[str, Result], RecordedChange | None]:
    """The outcomes by key. No change where there is nothing to be made."""
    used = label_resolution.distinct(label for row, _ in waiting for label in row.all_labels())
    known = await labels.lock_labels(session, dataset_id, used)
    results = {row.key: refused for row, _ in waiting if (refused := _refused_labels(row, known)) is not None}
    good = [(row, entry) for row, entry in waiting if row.key not in results]
    if not good:
        return results, None
    labelled = [(entry, row.label_names(known)) for row, entry in good]
    samples, change = await write_samples(session, dataset_id, labelled, known, by)
    for row, entry in good:
        sample = samples.get(entry.position)
        found = None if sample is None else Result(row.file_name, sample, key=row.key)
        results[row.key] = found or row.refused(ObjectExists(), ended=True)
    return results, change
