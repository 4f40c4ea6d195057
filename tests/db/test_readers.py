"""Connections for reading: which are at hand for the next block, and which are not."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from db.postgres import engine, readers
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable
from tests.conftest import execute
from tests.waiting import LIMITS, wait_until

PID = "SELECT pg_backend_pid()"


async def pid(database: Database) -> int:
    return int(await database.value(PID))


async def test_a_connection_is_at_hand_for_the_next_block(database: Database) -> None:
    first = await pid(database)
    assert await pid(database) == first
    async with database.reading() as one, database.reading() as other:
        pids = [await connection.fetchval(PID) for connection in (one, other)]
    assert first in pids
    assert len(set(pids)) == 2
    assert database.connections()["read"] == {"in_use": 0, "idle": 2}


@pytest.mark.parametrize("how", ["an error", "a transaction"])
async def test_one_whose_block_ends_otherwise_goes_back_to_the_pool(database: Database, how: str) -> None:
    first = await pid(database)
    if how == "an error":
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.value("SELECT 1 / 0")
    else:
        async with database.reading() as connection:
            await connection.execute("BEGIN")
    assert database.readers.at_hand == []
    async with database.reading() as connection:
        assert await connection.fetchval(PID) == first
        assert not connection.is_in_transaction()


async def test_one_that_is_lost_while_nobody_uses_it_is_given_to_nobody(database: Database) -> None:
    async with database.reading() as one, database.reading() as other:
        lost = await one.fetchval(PID)
        await other.execute("SELECT pg_terminate_backend($1)", lost)
    await wait_until(lambda: database.readers.pool.get_size() == 1)
    async with database.reading() as one, database.reading() as other:
        assert lost not in [await connection.fetchval(PID) for connection in (one, other)]


async def test_whoever_waits_gets_the_next_one(database_url: str) -> None:
    async with engine.connect(database_url, replace(LIMITS, readers=1)) as database:
        async with database.reading() as connection:
            first = await connection.fetchval(PID)
            waiting = asyncio.create_task(pid(database))
            await wait_until(lambda: database.waiting["read"] == 1)
        assert await waiting == first
        async with database.reading():
            short = replace(database, readers=replace(database.readers, seconds=0.01))
            with pytest.raises(DatabaseUnavailable, match="no room for more work"):
                await pid(short)


async def test_after_a_while_the_pool_has_them_all(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "AT_HAND_SECONDS", 0.0)
    async with engine.connect(database_url, LIMITS) as database:
        async with database.reading(), database.reading():
            pass
        await wait_until(lambda: database.readers.at_hand == [])
        assert database.connections()["read"] == {"in_use": 0, "idle": 2}
        assert await pid(database)


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_statement_is_executed_in_the_state_that_it_was_planned_in(database_url: str, pooled: bool) -> None:
    """What Postgres takes for constant it computes while it plans; here it waits there until the table has changed."""
    await execute(
        database_url,
        "CREATE TABLE noted AS SELECT 1 AS number; "
        "CREATE FUNCTION number_noted() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT number FROM noted'; "
        "CREATE FUNCTION wait() RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN 0; END'",
    )
    held = await engine.open_connection(database_url)
    async with engine.connect(database_url, replace(LIMITS, pooled=pooled)) as database:
        async with held.transaction():
            await held.execute("SELECT pg_advisory_xact_lock(7); UPDATE noted SET number = 2")
            text = "SELECT ARRAY[number_noted() + wait(), (SELECT number FROM noted)]"
            reading = asyncio.create_task(database.value(text))
            waiting = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await wait_until(lambda: held.fetchval(waiting))
        assert await reading == [1, 1]
    await held.close()
