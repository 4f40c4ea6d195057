"""completeUploads, its first half: what lies in the staging area is read, checked as every upload is, and written to
its place. The very bytes that were checked are written: what is put under the URL meanwhile makes no difference.

Done again after a crash at any point it ends as if done once: an object of the same content, at the place that was
kept for it, is ours.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import DomainError, Invalid, NotFound, StorageError, Unavailable
from db.history import transactions
from db.history.changes import no_such_dataset
from db.identity.tokens import Identity
from db.ingest.uploads import files, outcomes
from db.ingest.uploads.direct import PLACE, opened, same
from db.ingest.uploads.files import MOST_NAMES, Checks
from db.ingest.uploads.outcomes import Arrived, Completed, Upload
from db.ingest.uploads.rows import Put
from db.ingest.uploads.upload_requests import GRACE, STAGING, check_count, places, take_turn
from db.labelling import label_resolution
from db.labelling.labels import KnownLabels
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, StoredObject, Stores

MOST: Final = 200  # uploads of one call: as many as can be decoded while its client waits

LEASE = """
    UPDATE upload SET sweep_at = greatest(sweep_at, now() + :grace::interval)
    WHERE id = ANY(:ids::bigint[]) AND finished_at IS NULL
"""
HERE = "SELECT path FROM upload WHERE id = :id AND generation = :generation AND finished_at IS NULL"
MOVE = "UPDATE upload SET path = :path WHERE id = :id AND finished_at IS NULL"


async def inspect(
    database: Database, stores: Stores, dataset_id: int, keys: Sequence[str], *, checks: Checks, by: Identity
) -> Arrived:
    """Look at every file, and write the objects of those that are good."""
    check_count(keys, MOST, "keys")
    async with database.reading() as connection:
        place = await connection.fetchval(PLACE, dataset_id)
    if place is None or not by.sees(dataset_id):
        raise no_such_dataset()
    unique = tuple(dict.fromkeys(keys))
    rows = await _leased(database, dataset_id, unique)
    known = await label_resolution.known_without_lock(
        database, dataset_id, label_resolution.distinct(name for row in rows.values() for name in row.labels)
    )
    inspector = _Inspector(database, dataset_id, opened(stores, place), known, checks)
    waiting = {number: rows[key] for number, key in enumerate(unique) if key in rows and rows[key].is_open}
    found = await asyncio.gather(*(inspector.look(number, row) for number, row in waiting.items()))
    refused = {number: one for number, one in zip(waiting, found, strict=True) if isinstance(one, Completed)}
    generations = {key: row.generation for key, row in rows.items()}
    return Arrived(place, unique, tuple(one for one in found if isinstance(one, Put)), refused, generations)


async def _leased(database: Database, dataset_id: int, keys: Iterable[str]) -> dict[str, Upload]:
    """The rows; nobody clears away what is staged for them while we are at it."""
    async with database.writing() as session:
        rows = await outcomes.rows(session, dataset_id, keys)
        await sql.run(session, LEASE, ids=[row.id for row in rows.values()], grace=GRACE)
    return rows


def labelless(row: Upload, known: KnownLabels) -> Completed | None:
    """The refusal of an upload whose labels are gone since it was asked for; it stays open."""
    try:
        label_resolution.missing(row.labels, known, create=row.create_missing)
    except DomainError as refused:
        return refusal(row, refused, ended=False)
    return None


def refusal(row: Upload, refused: DomainError, *, ended: bool) -> Completed:
    return Completed(row.key, row.file_name, code=refused.code, message=refused.message, ended=ended)


@dataclass(frozen=True, slots=True)
class _Inspector:
    """`away`: what was said when the store did not answer, after which nobody waits for it again."""

    database: Database
    dataset_id: int
    store: Store
    known: KnownLabels
    checks: Checks
    away: list[RootMissing] = field(default_factory=list)

    async def look(self, number: int, row: Upload) -> Put | Completed:
        """What failed in passing leaves the upload open; what is wrong with the file itself ends it."""
        refused_labels = labelless(row, self.known)
        if refused_labels is not None:
            return refused_labels
        async with self.checks.room:
            if self.away:
                return refusal(row, self.away[0], ended=False)
            try:
                data = await self._read(row)
                facts = await files.check(row.file_name, data, self.checks.decode)
                return Put(number, await self._write(row, data), facts)
            except (Unavailable, NotFound) as failed:
                if isinstance(failed, RootMissing):
                    self.away.append(failed)
                return refusal(row, failed, ended=False)
            except DomainError as refused:
                return refusal(row, refused, ended=True)

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
        """At the place that was kept. Whoever lies there unknown to us stays; another place is kept before it is used,
        so that a repetition looks there."""
        tried = {row.path}
        path: str | None = row.path
        while path is not None and len(tried) <= MOST_NAMES:
            try:
                return await self.store.write(path, data)
            except ObjectExists:
                found = await same(self.store, path, data)
            if found is not None:
                return found
            path = await self._other_place(row, tried)
        raise ObjectExists

    async def _other_place(self, row: Upload, tried: set[str]) -> str | None:
        if row.on_conflict == "ERROR":
            return None
        path = await transactions.write(self.database, partial(self._move, row=row, tried=frozenset(tried)), str)
        tried.add(path)
        return path or None

    async def _move(self, session: AsyncSession, *, row: Upload, tried: frozenset[str]) -> str:
        """Whoever completes the same upload beside us may have moved it already, or be done."""
        await take_turn(session, self.dataset_id)
        here = await sql.first(session, HERE, id=row.id, generation=row.generation)
        if here is None or here["path"] not in tried:
            return "" if here is None else str(here["path"])
        [path] = await places(session, self.dataset_id, [row.file_name], "RENAME", without=tried)
        if path is not None:
            await sql.run(session, MOVE, id=row.id, path=path)
        return path or ""
