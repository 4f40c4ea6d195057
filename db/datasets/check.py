"""Checking what is stored: every counted and derived value is counted again, and samples are compared with files.

A wrong value is a defect of ours; with `repair` it is computed again from the rows that it follows from, and nothing
else is changed. A sample without its file, and a file without a row, are reported only.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from typing import Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import StorageError
from db.formats.images import SUFFIXES
from db.formats.paths import path_excerpt, suffix
from db.history import derived_state
from db.history.changes import lock_dataset
from db.history.transactions import write
from db.ingest.sync.listing import Listing
from db.ingest.sync.rules import Rules
from db.postgres import sql
from db.postgres.engine import Database, open_connection
from db.storage import Store
from db.storage.object_deletion import OpenStore

SQL: Final = sql.load(__file__)
MAX_REPORTED: Final = 100  # findings of one kind in one dataset
TIMEOUT: Final = 3_600.0  # seconds for a statement over a whole dataset
BATCH: Final = 10_000  # listed files in a COPY
PAUSES: Final = (0.0, 1.0, 3.0, 6.0)  # seconds; an upload writes its file first, and then its rows

REFRESH: Final = f"WITH selected AS MATERIALIZED ({SQL.select_wrong_samples}) {derived_state.REFRESH}"
DATED: Final = ("annotation", "annotation_past", "sample_past")  # what is dated by changes, unlike samples
KEYS: Final = {
    "dataset": "id = :id",
    "label_count": "label_id = :id",
    "suggestion_count": "model_id = :id AND label_id = :label_id",
    "version": "id = :id",
    "version_label": "version_id = :id AND label_id = :label_id",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`is_open`: it is still wrong after the check; else it was repaired, or says what was not checked."""

    dataset: str
    message: str
    is_open: bool = True


async def check(database: Database, open_store: OpenStore, *, repair: bool = False) -> AsyncGenerator[Finding, None]:
    """What is wrong, dataset by dataset. Raises StorageError where files cannot be listed.

    Safe while others write. Memory does not grow with the datasets: their listings are in a temporary table.
    """
    connection = await open_connection(database.url)
    try:
        for statement in ("SET statement_timeout = 0", SQL.listed_table, SQL.suspect_table):
            await sql.run(connection, statement)
        for dataset in await sql.run(connection, SQL.datasets):
            async for finding in _check_values(database, connection, dataset, repair=repair):
                yield finding
            store = open_store(dataset["input_path"])
            try:
                await _list(connection, dataset, store)
                async for finding in _compare(connection, dataset, store):
                    yield finding
            except StorageError as error:
                message = f"The files of `{dataset['name']}` cannot be listed and compared. {error.message}"
                raise StorageError(message) from error
    finally:
        await connection.close()


async def recount(connection: asyncpg.Connection, dataset_id: int) -> list[str]:
    """The first wrong values of a dataset, one line each; empty when all are right."""
    rows = await sql.run(connection, SQL.recount, dataset_id=dataset_id, limit=MAX_REPORTED)
    return [f"{row['subject']}: {row['name']} is {row['stored']}, counted {row['counted']}" for row in rows]


async def repair_values(session: AsyncSession, dataset_id: int) -> None:
    """Write correct values, while no other writer is at the dataset. No change is recorded: its facts stay."""
    await lock_dataset(session, dataset_id, None, exclusive=True)
    await sql.run(session, "SET LOCAL statement_timeout = 0")
    for table in DATED:
        await sql.run(session, SQL.date.format(table=table), dataset_id=dataset_id)
    values = {"actor": None, "origin": None, "latest": False, "since": None}
    await sql.count(session, REFRESH, timeout=TIMEOUT, dataset_id=dataset_id, **values)
    await sql.run(session, SQL.add_missing_counts, dataset_id=dataset_id)
    await sql.run(session, SQL.add_missing_suggestion_counts, dataset_id=dataset_id)
    for row in await sql.run(session, SQL.recount, dataset_id=dataset_id, limit=None):
        if row["name"] != "revision":  # no row says what else it could be
            statement = f"UPDATE {row['relation']} SET {row['name']} = :counted WHERE {KEYS[row['relation']]}"
            await sql.run(session, statement, counted=int(row["counted"]), id=row["id"], label_id=row["label_id"])


async def _check_values(
    database: Database, connection: asyncpg.Connection, dataset: asyncpg.Record, *, repair: bool
) -> AsyncGenerator[Finding, None]:
    found = left = await recount(connection, dataset["id"])
    if found and repair:
        await write(database, partial(repair_values, dataset_id=dataset["id"]), type(None))
        left = await recount(connection, dataset["id"])
    for line in found:
        yield Finding(dataset["name"], line if line in left else f"{line} (repaired)", is_open=line in left)
    if len(left) == MAX_REPORTED:
        yield Finding(dataset["name"], "there may be more wrong values")


async def _list(connection: asyncpg.Connection, dataset: asyncpg.Record, store: Store) -> None:
    """Fill the table `listed` with the dataset's images. Raises StorageError where the listing is not complete."""

    async def flush() -> None:
        images = [(file.path, reason is None) for file, reason in listing.waiting if suffix(file.path) in SUFFIXES]
        await connection.copy_records_to_table("listed", records=images, columns=("path", "taken"))
        listing.waiting.clear()

    await sql.run(connection, "TRUNCATE listed, suspect")
    listing = Listing(await asyncio.to_thread(Rules.of, dataset))
    async for page in store.pages():
        listing.add(page)
        listing.warnings.clear()
        if page.unreadable:
            raise StorageError(f"The directory `{path_excerpt(page.unreadable[0])}` cannot be read.")
        if len(listing.waiting) >= BATCH:
            await flush()
    await flush()
    await sql.run(connection, "ANALYZE listed")


async def _compare(
    connection: asyncpg.Connection, dataset: asyncpg.Record, store: Store
) -> AsyncGenerator[Finding, None]:
    """Rows and files are added and deleted while files are listed, so whatever differs is compared again."""
    await sql.run(connection, SQL.find_suspects, dataset_id=dataset["id"])
    async for path in _suspects(connection, dataset["id"], store, has_sample=True):
        yield Finding(
            dataset["name"], f"the sample `{path_excerpt(path)}` has no file: put it back, or sync the dataset"
        )
    if await sql.value(connection, SQL.is_filling, dataset_id=dataset["id"]):
        note = "a sync or an import runs, so files without a row are not reported"
        yield Finding(dataset["name"], note, is_open=False)
        return
    async for path in _suspects(connection, dataset["id"], store, has_sample=False):
        yield Finding(dataset["name"], f"the file `{path_excerpt(path)}` has no row: sync the dataset")


async def _suspects(
    connection: asyncpg.Connection, dataset_id: int, store: Store, *, has_sample: bool
) -> AsyncGenerator[str, None]:
    """The first samples that have no file, or files that have no row, at a second look too, ordered by path."""

    async def differing(paths: list[str]) -> list[str]:
        return [path for path in paths if (await store.stat(path) is None) == has_sample]

    after, reported = "", 0
    while reported < MAX_REPORTED:
        limit = MAX_REPORTED - reported
        rows = await sql.run(connection, SQL.suspects, has_sample=has_sample, after=after, limit=limit)
        if not rows:
            return
        after = rows[-1]["path"]
        paths = await differing([row["path"] for row in rows])
        still = SQL.still_with_sample if has_sample else SQL.still_without_row
        for pause in PAUSES[:1] if has_sample else PAUSES:
            if paths:
                await asyncio.sleep(pause)
                paths = [row["path"] for row in await sql.run(connection, still, dataset_id=dataset_id, paths=paths)]
        paths = await differing(paths)  # a deletion that has ended since left no file and no row
        reported += len(paths)
        for path in paths:
            yield path
