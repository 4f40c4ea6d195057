"""Files of exports: found by whoever follows a signed URL, and removed when their time is over.

In the server's own store that is a week after the export. What an export has written that was canceled or failed is
removed in any store.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import asyncpg

from db.errors import DomainError
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import RootMissing, Store
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
BATCH: Final = 20  # exports that a sweep looks at, at once
MANY: Final = 1_000  # objects that are removed at once
PAUSE, PAUSES = 0.5, 120  # seconds, while an export stops


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that can be fetched for so many seconds more; None: as long as it is there."""

    dataset_id: int
    location: str
    object: str
    name: str
    size: int
    sha256: str


async def find_file(database: Database, file_id: int) -> ExportedFile | None:
    """None where there is no such file, or it is of an export that has not succeeded, or its time is over."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.find_file, file_id=file_id)
    return None if row is None else ExportedFile(**row)


async def sweep(database: Database, opener: OpenStore) -> None:
    """Remove expired files. What an interrupted sweep has not removed is due again in the next."""
    while True:
        async with database.writing() as session:
            due = await sql.run(session, SQL.due, count=BATCH)
        for export in due:
            try:
                await _remove(opener, export)
            except DomainError:
                continue  # in some minutes, again
            async with database.writing() as session:
                await sql.run(session, SQL.forget, job_id=export["job_id"])
        if len(due) < BATCH:
            return


async def clear(database: Database, opener: OpenStore, *, dataset_id: int) -> None:
    """Remove what is in the server's own store of a dataset that was deleted, and what those of its exports wrote that
    did not succeed. Those that run have been canceled, and may write one file more: they are waited for, though not for
    a worker that hangs. What cannot be removed now stays."""
    for _ in range(PAUSES):
        async with database.reading() as connection:
            if not await sql.value(connection, SQL.is_running, dataset_id=dataset_id):
                break
        await asyncio.sleep(PAUSE)
    async with database.reading() as connection:
        rows = await sql.run(connection, SQL.to_clear, dataset_id=dataset_id)
    for export in rows:
        try:
            await _remove(opener, export)
        except DomainError:
            continue


async def _remove(opener: OpenStore, export: asyncpg.Record) -> None:
    """In a store of its own an export's objects are numbered: one more than are noted may be there."""
    store = opener(export["location"])
    if export["is_temporary"]:
        await _discard(store, [f"{export['folder']}-{number}" for number in range(export["files"] + 1)])
        return
    try:
        async for page in store.pages():
            await _discard(store, [found.path for found in page.objects])
    except RootMissing:
        return


async def _discard(store: Store, objects: list[str]) -> None:
    for start in range(0, len(objects), MANY):
        await store.discard(objects[start : start + MANY])
