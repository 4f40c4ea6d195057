"""Backups: the whole database at one moment in a file, and back into an empty database.

A backup is a ZIP file: `backup.json` names the revision of the schema, the columns and the sequences, and for each
table there is a file in COPY's text format, which is the same in every version of Postgres. So a backup needs no
programs of a certain version, and an older one is migrated while it is restored. It contains no images.
"""

import asyncio
import json
import zipfile
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import Conflict, Invalid
from db.postgres import migrations, pgvector, sql
from db.postgres.engine import open_connection, single_transaction

SQL: Final = sql.load(__file__)
FORMAT: Final = 1
CONTENTS: Final = "backup.json"
DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that zipfile does not know
    ValueError,
)
CLOSING_TIME: Final = 10.0  # seconds in which closed connections must have left the database

# COPY's text depends on these; and a large table takes longer than the role's timeouts may allow.
SETTINGS: Final = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL timezone = 'UTC';
    SET LOCAL datestyle = 'ISO';
    SET LOCAL intervalstyle = 'postgres';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL bytea_output = 'hex';
    SET LOCAL search_path = public
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup contains."""

    datasets: int
    rows: int


async def write(url: str, file: BinaryIO) -> Summary:
    """Write a backup of the database at one moment, while others use it. The file need not be seekable."""
    connection = await open_connection(url, statement_cache_size=0)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(SETTINGS)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                return await _write(connection, archive)
    finally:
        await connection.close()


async def _write(connection: asyncpg.Connection, archive: zipfile.ZipFile) -> Summary:
    tables = []
    for name, columns in (await _columns(connection)).items():
        with archive.open(_member(name), "w", force_zip64=True) as member:
            done = await connection.copy_from_table(
                name, schema_name="public", columns=columns, output=cast(BinaryIO, member)
            )
        tables.append({"name": name, "columns": columns, "rows": _count(done)})
    sequences = {}  # read after the tables: no sequence is behind the rows that it numbered
    for row in await sql.run(connection, SQL.sequences):
        value = await connection.fetchrow(f'SELECT last_value, is_called FROM public."{row["name"]}"')
        sequences[row["name"]] = list(value or ())
    contents = {
        "format": FORMAT,
        "revision": await sql.value(connection, SQL.revision),
        "tables": tables,
        "sequences": sequences,
    }
    archive.writestr(CONTENTS, json.dumps(contents, indent=1))
    return await _summary(connection, tables)


async def restore(url: str, file: BinaryIO) -> Summary:
    """Fill a database that has no dataset, and that nobody uses, with a backup: completely or not at all.

    Its tables are made as they were when the backup was written, filled, and migrated. Raises Invalid for a file that
    is no backup, is damaged, or is of a newer version; Conflict for a database that has datasets or is in use.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            contents = json.loads(archive.read(CONTENTS))
            if contents["format"] != FORMAT or not migrations.knows(contents["revision"]):
                raise Invalid("The backup was written by a newer version of Labelgraph: update this one first.")
            async with single_transaction(url) as connection:
                return await _restore(connection, archive, contents)
    except DAMAGED as error:
        raise Invalid("The file is not a backup, or it is damaged. The database is as it was.") from error


async def _expect_unused(driver: asyncpg.Connection) -> None:
    """Nobody else uses the database. A server that starts now waits for the transaction's end, to migrate."""
    await sql.run(driver, SQL.lock, key=migrations.MIGRATING)
    if await sql.value(driver, SQL.has_dataset):
        raise Conflict(
            "The database holds datasets already. Restore into another one: name it in DATABASE_URL, or an "
            "empty directory with --data."
        )
    deadline = asyncio.get_running_loop().time() + CLOSING_TIME
    while await sql.value(driver, SQL.count_others):  # connections that were just closed may still be listed
        if asyncio.get_running_loop().time() > deadline:
            raise Conflict("Others use the database now: stop every server and worker of it first.")
        await driver.execute("SELECT pg_sleep(0.1)")
        await driver.execute("SELECT pg_stat_clear_snapshot()")


async def _restore(connection: AsyncConnection, archive: zipfile.ZipFile, contents: Mapping[str, Any]) -> Summary:
    driver = await sql.raw_connection(connection)
    await driver.execute(SETTINGS)
    await _expect_unused(driver)
    await connection.run_sync(migrations.move, "base")
    await connection.run_sync(migrations.move, contents["revision"])
    tables: Sequence[Mapping[str, Any]] = contents["tables"]
    if any(table["name"] == pgvector.TABLE for table in tables) and not await pgvector.enable_on(driver):
        raise Conflict(f"The backup has embeddings. {pgvector.LACKS}")
    if {table["name"]: table["columns"] for table in tables} != await _columns(driver):
        raise Invalid("The backup's tables are not those of its version.")
    async with _without_constraints(driver, [table["name"] for table in tables]):
        for table in tables:
            name, columns = table["name"], table["columns"]
            with archive.open(_member(name)) as member:
                done = await driver.copy_to_table(
                    name, schema_name="public", columns=columns, source=cast(BinaryIO, member), timeout=None
                )
            if _count(done) != table["rows"]:
                raise ValueError(name)
    for name, (last, called) in contents["sequences"].items():
        await sql.run(driver, SQL.set_sequence, name=name, last=last, called=called)
    await connection.run_sync(migrations.move, "head")
    await driver.execute("ANALYZE")
    return await _summary(driver, tables)


@asynccontextmanager
async def _without_constraints(driver: asyncpg.Connection, tables: Sequence[str]) -> AsyncGenerator[None, None]:
    """Empty tables that take rows in any order: no trigger runs, and references are checked afterwards."""
    references = await sql.run(driver, SQL.references)
    await driver.execute(f"TRUNCATE {', '.join(map(_quoted, tables))}")  # rows of migrations
    for each in references:
        await driver.execute(f"ALTER TABLE {each['name']} DROP CONSTRAINT {each['constraint']}")
    for name in tables:
        await driver.execute(f"ALTER TABLE {_quoted(name)} DISABLE TRIGGER USER")
    yield
    for name in tables:
        await driver.execute(f"ALTER TABLE {_quoted(name)} ENABLE TRIGGER USER")
    for each in references:
        await driver.execute(f"ALTER TABLE {each['name']} ADD CONSTRAINT {each['constraint']} {each['definition']}")


async def _columns(connection: asyncpg.Connection) -> dict[str, list[str]]:
    return {row["name"]: list(row["columns"]) for row in await sql.run(connection, SQL.columns)}


async def _summary(connection: asyncpg.Connection, tables: Sequence[Mapping[str, Any]]) -> Summary:
    datasets = await sql.value(connection, SQL.count_datasets)
    return Summary(datasets=datasets, rows=sum(table["rows"] for table in tables))


def _member(table: str) -> str:
    return f"tables/{table}.copy"


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _quoted(name: str) -> str:
    return 'public."' + name.replace('"', '""') + '"'
