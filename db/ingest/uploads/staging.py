"""The staging area: files arrive in it, are checked and written to their paths, and are cleared away.

completeUploads checks every staged file as every upload is checked, and writes the very bytes that were checked: what
is put under the URL in between makes no difference. Done again after a crash at any point it ends as if done once: an
object of the same content, at the path that was kept free for it, is ours.

What nobody completed is cleared away: the staged object once no URL for it is valid any more, and with it the row of an
upload that is still open. A completed upload's key is remembered for a week, so that a script that begins again skips
what it has done. Objects go before rows: whoever dies in between leaves the row to the next sweep.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import DomainError, Invalid, NotFound, StorageError, Unavailable
from db.history import transactions
from db.identity.tokens import Identity
from db.ingest.entry import Entry
from db.ingest.uploads import files, outcomes
from db.ingest.uploads.destinations import free_paths, input_path_of, lock_names, object_with, open_store
from db.ingest.uploads.files import MAX_NAMES, STAGING, Checks
from db.ingest.uploads.outcomes import Completed, InspectedUploads, Upload
from db.ingest.uploads.samples import entry_of
from db.ingest.uploads.upload_requests import GRACE, check_count
from db.labelling import label_resolution
from db.labelling.labels import KnownLabels
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, StoredObject, Stores
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
MAX_KEYS: Final = 200  # uploads of one call: as many as can be decoded while its client waits
BATCH: Final = 1_000  # uploads that a sweep clears at once


@dataclass(frozen=True, slots=True)
class Awaited:
    """A file that is to come: so many bytes, for this path below this input path."""

    dataset_id: int
    input_path: str
    path: str
    size: int


async def awaited(database: Database, name: str) -> Awaited | None:
    """The file that is awaited under a URL that we signed. None: none is, or no longer."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.awaited, name=name)
    return None if row is None else Awaited(row["dataset_id"], row["input_path"], STAGING + name, row["size"])


async def inspect(
    database: Database, stores: Stores, dataset_id: int, keys: Sequence[str], *, checks: Checks, by: Identity
) -> InspectedUploads:
    """Check every file, and write the objects of those that are good."""
    check_count(keys, MAX_KEYS, "keys")
    input_path = await input_path_of(database, dataset_id, by=by)
    unique = tuple(dict.fromkeys(keys))
    async with database.writing() as session:
        rows = await outcomes.rows(session, dataset_id, unique)
        # No sweep clears away what is staged while it is being completed.
        await sql.run(session, SQL.extend, ids=[row.id for row in rows.values()], grace=GRACE)
    label_names = label_resolution.distinct(name for row in rows.values() for name in row.labels)
    known = await label_resolution.known_without_lock(database, dataset_id, label_names)
    inspector = _Inspector(database, dataset_id, open_store(stores, input_path), known, checks)
    waiting = {number: rows[key] for number, key in enumerate(unique) if key in rows and rows[key].is_open}
    found = await asyncio.gather(*(inspector.inspect(number, row) for number, row in waiting.items()))
    refused = {number: one for number, one in zip(waiting, found, strict=True) if isinstance(one, Completed)}
    generations = {key: row.generation for key, row in rows.items()}
    entries = tuple(one for one in found if isinstance(one, Entry))
    return InspectedUploads(input_path, unique, entries, refused, generations)


def refused_labels(row: Upload, known: KnownLabels) -> Completed | None:
    """The refusal of an upload whose labels were removed since it was requested; it stays open."""
    try:
        label_resolution.missing(row.labels, known, create=row.create_missing)
    except DomainError as refused:
        return row.refused(refused, ended=False)
    return None


@dataclass(frozen=True, slots=True)
class _Inspector:
    """`away`: the error of a store that did not answer, after which no file waits for it again."""

    database: Database
    dataset_id: int
    store: Store
    known: KnownLabels
    checks: Checks
    away: list[RootMissing] = field(default_factory=list)

    async def inspect(self, number: int, row: Upload) -> Entry | Completed:
        """What failed in passing leaves the upload open; what is wrong with the file itself ends it."""
        refused = refused_labels(row, self.known)
        if refused is not None:
            return refused
        async with self.checks.room:
            if self.away:
                return row.refused(self.away[0], ended=False)
            try:
                data = await self._read(row)
                facts = await files.check(row.file_name, data, self.checks.decode)
                return entry_of(number, row.file_name, await self._write(row, data), facts)
            except (Unavailable, NotFound) as failed:
                if isinstance(failed, RootMissing):
                    self.away.append(failed)
                return row.refused(failed, ended=False)
            except DomainError as error:
                return row.refused(error, ended=True)

    async def _read(self, row: Upload) -> bytes:
        [head] = await self.store.heads([STAGING + row.staged], length=row.size + 1)
        if isinstance(head, ObjectMissing):
            raise NotFound("Nothing was put under this upload's URL yet. Put the file there, then complete it again.")
        if isinstance(head, StorageError):
            raise head
        if head.size != row.size:
            raise Invalid(f"The file has {head.size} bytes, but {row.size} were announced; request it anew.")
        return head.data

    async def _write(self, row: Upload, data: bytes) -> StoredObject:
        """At the path that was kept free. An object there that is not ours stays; another path is noted before it is
        used, so that a repetition looks there."""
        tried = {row.path}
        path: str | None = row.path
        while path and len(tried) <= MAX_NAMES:
            try:
                return await self.store.write(path, data)
            except ObjectExists:
                found = await object_with(self.store, path, data)
            if found is not None:
                return found
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


async def sweep(database: Database, opener: OpenStore) -> None:
    """Clear away what is due."""
    while True:
        async with database.writing() as session:
            due = await sql.run(session, SQL.due, count=BATCH)
        if not due:
            return
        resisting = await _discard(opener, [row for row in due if not row["cleared"]])
        gone = [row for row in due if row["old"] or row["staged"] not in resisting]
        ids, moments = [row["id"] for row in gone], [row["sweep_at"] for row in gone]
        async with database.writing() as session:
            done = [row["cleared"] or row["old"] for row in gone]
            await sql.run(session, SQL.forget, ids=ids, sweep_at=moments, done=done)
            await sql.run(session, SQL.mark_cleared, ids=ids, sweep_at=moments)


async def clear(database: Database, opener: OpenStore, *, dataset_id: int) -> None:
    """Clear away all that is staged for a dataset that was deleted. What cannot be cleared now stays."""
    last = 0
    while True:
        async with database.reading() as connection:
            rows = await sql.run(connection, SQL.staged, dataset_id=dataset_id, last=last, count=BATCH)
        if not rows:
            return
        last = rows[-1]["id"]
        await _discard(opener, rows)


async def _discard(opener: OpenStore, rows: Sequence[asyncpg.Record]) -> set[str]:
    """Input path by input path. Returns the names that may still be there."""

    def input_path(row: asyncpg.Record) -> str:
        return str(row["input_path"])

    resisting: set[str] = set()
    for path, group in groupby(sorted(rows, key=input_path), input_path):
        names = [row["staged"] for row in group]
        try:
            left = await opener(path).discard([STAGING + name for name in names])
        except DomainError:
            resisting.update(names)
        else:
            resisting.update(staged.removeprefix(STAGING) for staged in left)
    return resisting
