"""Backups: everything in the database at one moment, in one file, and back into an empty database.

A backup is a ZIP file: `backup.json` names the revision of the schema, the columns and the sequences, and for each
table there is a file in COPY's text format, which is the same in every version of Postgres. So a backup needs no
programs of a certain version, and an older one is migrated while it is restored. Images are not in it.
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
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from db.errors import Conflict, Invalid
from db.postgres import migrations
from db.postgres.engine import DIALECT, driver_url, opener

FORMAT: Final = 1
ABOUT: Final = "backup.json"
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
PATIENCE: Final = 10.0  # seconds in which those who have left the database must be gone

# COPY's text depends on these; and whatever the role's own limits are, a large table takes its time.
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
COLUMNS: Final = """
    SELECT relname AS name, array_agg(attname ORDER BY attnum) AS columns
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
      AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    GROUP BY relname ORDER BY relname
"""
SEQUENCES: Final = "SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename"
REFERENCES: Final = """
    SELECT conrelid::regclass::text AS name, quote_ident(conname) AS constraint, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY conrelid, conname
"""
OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds."""

    datasets: int
    rows: int


# -- out -------------------------------------------------------------------------------------------------


async def write(url: str, file: BinaryIO) -> Summary:
    """Write a backup of the database, whoever works on it meanwhile: it shows one moment. The file need not seek."""
    connection = await asyncpg.connect(driver_url(url), statement_cache_size=0)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(SETTINGS)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                return await _write(connection, archive)
    finally:
        await connection.close()


async def _write(connection: asyncpg.Connection, archive: zipfile.ZipFile) -> Summary:
    tables = [
        {"name": name, "columns": columns, "rows": await _copy_out(connection, archive, name, columns)}
        for name, columns in (await _columns(connection)).items()
    ]
    about = {
        "format": FORMAT,
        "revision": await connection.fetchval("SELECT version_num FROM alembic_version"),
        "tables": tables,
        "sequences": await _sequences(connection),
    }
    archive.writestr(ABOUT, json.dumps(about, indent=1))
    return await _summary(connection, tables)


async def _copy_out(connection: asyncpg.Connection, archive: zipfile.ZipFile, name: str, columns: Sequence[str]) -> int:
    with archive.open(_member(name), "w", force_zip64=True) as member:
        done = await connection.copy_from_table(
            name, schema_name="public", columns=columns, output=cast(BinaryIO, member)
        )
    return _count(done)


async def _sequences(connection: asyncpg.Connection) -> dict[str, Any]:
    """Read after the tables: no sequence is behind the rows that it numbered."""
    names = [row["name"] for row in await connection.fetch(SEQUENCES)]
    return {
        name: list(await connection.fetchrow(f'SELECT last_value, is_called FROM public."{name}"') or ())
        for name in names
    }


# -- in --------------------------------------------------------------------------------------------------


async def restore(url: str, file: BinaryIO) -> Summary:
    """Fill a database that holds no dataset, and that nobody uses, with a backup: whole or not at all.

    Its tables are made as they were when the backup was written, filled, and migrated. Raises Invalid for a file that
    is no backup, is damaged, or is of a newer version; Conflict for a database that is not free.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            about = json.loads(archive.read(ABOUT))
            _check(about)
            async with _alone(url) as connection:
                return await _restore(connection, archive, about)
    except DAMAGED as error:
        raise Invalid("The file is no backup, or it is damaged. The database is as it was.") from error


def _check(about: Mapping[str, Any]) -> None:
    if about["format"] != FORMAT or not migrations.knows(about["revision"]):
        raise Invalid("The backup was written by a newer version of Labelgraph: update this one first.")


@asynccontextmanager
async def _alone(url: str) -> AsyncGenerator[AsyncConnection, None]:
    """A transaction in a database that nobody else uses; a server that starts now waits for it, to migrate."""
    engine = create_async_engine(DIALECT, poolclass=NullPool, connect_args={"async_creator_fn": opener(url)})
    try:
        async with engine.begin() as connection:
            driver = await _driver(connection)
            await driver.execute(SETTINGS)
            await driver.execute("SELECT pg_advisory_xact_lock($1)", migrations.MIGRATING)
            if await driver.fetchval("SELECT EXISTS (SELECT FROM dataset)"):
                raise Conflict(
                    "The database holds datasets already. Restore into another one: name it in DATABASE_URL, or an "
                    "empty directory with --data."
                )
            await _wait_until_alone(driver)
            yield connection
    finally:
        await engine.dispose()


async def _wait_until_alone(driver: asyncpg.Connection) -> None:
    """Connections that were closed just now may still be seen."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while await driver.fetchval(OTHERS):
        if asyncio.get_running_loop().time() > deadline:
            raise Conflict("Others use the database now: stop every server and worker of it first.")
        await driver.execute("SELECT pg_sleep(0.1)")
        await driver.execute("SELECT pg_stat_clear_snapshot()")


async def _restore(connection: AsyncConnection, archive: zipfile.ZipFile, about: Mapping[str, Any]) -> Summary:
    await connection.run_sync(migrations.move, "base")
    await connection.run_sync(migrations.move, about["revision"])
    driver = await _driver(connection)
    tables: Sequence[Mapping[str, Any]] = about["tables"]
    if {table["name"]: table["columns"] for table in tables} != await _columns(driver):
        raise Invalid("The backup's tables are not those of its version.")
    async with _without_rules(driver, [table["name"] for table in tables]):
        for table in tables:
            await _copy_in(driver, archive, table)
    for name, (last, called) in about["sequences"].items():
        await driver.execute("SELECT setval(format('public.%I', $1::text)::regclass, $2, $3)", name, last, called)
    await connection.run_sync(migrations.move, "head")
    await driver.execute("ANALYZE")
    return await _summary(driver, tables)


@asynccontextmanager
async def _without_rules(driver: asyncpg.Connection, tables: Sequence[str]) -> AsyncGenerator[None, None]:
    """Tables that take rows in any order: no trigger counts or remembers them, references are checked afterwards."""
    references = await driver.fetch(REFERENCES)
    await driver.execute(f"TRUNCATE {', '.join(map(_quoted, tables))}")  # what migrations put there
    for each in references:
        await driver.execute(f"ALTER TABLE {each['name']} DROP CONSTRAINT {each['constraint']}")
    for name in tables:
        await driver.execute(f"ALTER TABLE {_quoted(name)} DISABLE TRIGGER USER")
    yield
    for name in tables:
        await driver.execute(f"ALTER TABLE {_quoted(name)} ENABLE TRIGGER USER")
    for each in references:
        await driver.execute(f"ALTER TABLE {each['name']} ADD CONSTRAINT {each['constraint']} {each['definition']}")


async def _copy_in(driver: asyncpg.Connection, archive: zipfile.ZipFile, table: Mapping[str, Any]) -> None:
    with archive.open(_member(table["name"])) as member:
        done = await driver.copy_to_table(
            table["name"], schema_name="public", columns=table["columns"], source=cast(BinaryIO, member), timeout=None
        )
    if _count(done) != table["rows"]:
        raise ValueError(table["name"])


# -- both ------------------------------------------------------------------------------------------------


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    raw: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection  # type: ignore[assignment]
    return raw


async def _columns(connection: asyncpg.Connection) -> dict[str, list[str]]:
    return {row["name"]: list(row["columns"]) for row in await connection.fetch(COLUMNS)}


async def _summary(connection: asyncpg.Connection, tables: Sequence[Mapping[str, Any]]) -> Summary:
    datasets = await connection.fetchval("SELECT count(*) FROM dataset WHERE deleted_at IS NULL")
    return Summary(datasets=datasets, rows=sum(table["rows"] for table in tables))


def _member(table: str) -> str:
    return f"tables/{table}.copy"


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _quoted(name: str) -> str:
    return 'public."' + name.replace('"', '""') + '"'
