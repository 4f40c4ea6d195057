"""What nobody completed is cleared away: the staged object once no URL for it holds any more, and with it the row of an
upload that is still open. A completed upload's key is remembered for a week, so that a script that begins again skips
what it has done.

Objects go before rows: whoever dies in between leaves the row to whoever comes next.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import asyncpg

from db.errors import DomainError
from db.ingest.uploads.upload_requests import STAGING
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage.object_deletion import OpenStore

BATCH: Final = 1_000

# Taking a row puts its next turn off, so that two who sweep at once share the work, and a crash is made up for.
TAKE = """
UPDATE upload u SET sweep_at = now() + interval '10 min'
FROM dataset
WHERE dataset.id = u.dataset_id
  AND u.id IN (SELECT id FROM upload WHERE sweep_at <= now() ORDER BY sweep_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING u.id, u.staged, u.cleared, u.sweep_at, u.expires_at < now() - interval '7 days' AS old, dataset.input_path
"""
# Not those that were asked for anew, or are being completed, since they were taken: their turn is later.
CLEARED = """
UPDATE upload SET cleared = true, sweep_at = finished_at + interval '7 days'
FROM unnest($1::bigint[], $2::timestamptz[]) AS taken (id, sweep_at)
WHERE upload.id = taken.id AND upload.sweep_at = taken.sweep_at AND finished_at IS NOT NULL
"""
FORGET = """
DELETE FROM upload USING unnest($1::bigint[], $2::timestamptz[], $3::boolean[]) AS taken (id, sweep_at, done)
WHERE upload.id = taken.id AND upload.sweep_at = taken.sweep_at AND (taken.done OR finished_at IS NULL)
"""
STAGED = """
SELECT upload.id, staged, input_path FROM upload JOIN dataset ON dataset.id = dataset_id
WHERE dataset_id = $1 AND NOT cleared AND upload.id > $2 ORDER BY upload.id LIMIT $3
"""


async def sweep(database: Database, opener: OpenStore) -> None:
    """Do what is due."""
    while taken := await _take(database):
        resisting = await _discard(opener, [row for row in taken if not row["cleared"]])
        gone = [row for row in taken if row["old"] or row["staged"] not in resisting]
        ids, turns = [row["id"] for row in gone], [row["sweep_at"] for row in gone]
        async with database.writing() as session:
            connection = await connection_of(session)
            await connection.execute(FORGET, ids, turns, [row["cleared"] or row["old"] for row in gone])
            await connection.execute(CLEARED, ids, turns)


async def clear(database: Database, opener: OpenStore, *, dataset_id: int) -> None:
    """All that is staged for a dataset that was deleted. What cannot be cleared now stays: nobody will ask for it."""
    last = 0
    while rows := await _staged(database, dataset_id, last):
        last = rows[-1]["id"]
        await _discard(opener, rows)


async def _take(database: Database) -> list[asyncpg.Record]:
    async with database.writing() as session:
        return await (await connection_of(session)).fetch(TAKE, BATCH)


async def _staged(database: Database, dataset_id: int, last: int) -> list[asyncpg.Record]:
    async with database.reading() as connection:
        return await connection.fetch(STAGED, dataset_id, last, BATCH)


async def _discard(opener: OpenStore, rows: Sequence[asyncpg.Record]) -> set[str]:
    """Input path by input path. The names that may still be there."""
    resisting: set[str] = set()
    for input_path, group in groupby(sorted(rows, key=_input_path), _input_path):
        names = [row["staged"] for row in group]
        try:
            left = await opener(input_path).discard([STAGING + name for name in names])
        except DomainError:
            resisting.update(names)
        else:
            resisting.update(path.removeprefix(STAGING) for path in left)
    return resisting


def _input_path(row: asyncpg.Record) -> str:
    return str(row["input_path"])
