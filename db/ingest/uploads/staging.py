"""The staging area: files arrive in it, are completed, and are cleared away.

What nobody completed is cleared away: the staged object once no URL for it is valid any more, and with it the row of an
upload that is still open. A completed upload's key is remembered for a week, so that a script that begins again skips
what it has done. Objects go before rows: whoever dies in between leaves the row to the next sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import asyncpg

from db.errors import DomainError
from db.ingest.uploads.files import STAGING
from db.postgres import sql
from db.postgres.engine import Database
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
BATCH: Final = 1_000  # uploads that a sweep clears at once


@dataclass(frozen=True, slots=True)
class Awaited:
    """A file that is to come: so many bytes, for this path below this input path. Not while it `is_sealed`."""

    dataset_id: int
    input_path: str
    path: str
    size: int
    is_sealed: bool = False


async def awaited(database: Database, name: str) -> Awaited | None:
    """The file that is awaited under a URL that we signed. None: none is, or no longer."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.awaited, name=name)
    return None if row is None else Awaited(row["dataset_id"], row["input_path"], STAGING + name, row["size"])


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
    input_path = itemgetter("input_path")
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
