"""A transaction pooler before Postgres: no session of our own, and the same limits."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.identity import tokens
from db.jobs.queue import CHANNEL, notify
from db.postgres import engine
from db.postgres.outages import DatabaseUnavailable
from tests.pgbouncer import SERVER_CONNECTIONS
from tests.waiting import TIMEOUT, wait_until

POOLED = engine.Limits(pooled=True, readers=5, writers=5, connect=60, lock=3, read=7, write=9)
ALLOWED = {"user", "database", "client_encoding", "application_name", "timezone"}  # by PgBouncer as it is installed
SETTINGS = {
    "jit": "off",
    "lock_timeout": "3s",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "idle_in_transaction_session_timeout": "1min",
}


@pytest.fixture
async def pooled(pooled_url: str) -> AsyncIterator[engine.Database]:
    async with engine.connect(pooled_url, POOLED) as database:
        yield database


async def test_a_connection_is_opened_with_no_parameter_that_pgbouncer_refuses() -> None:
    seen: list[set[str]] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == 80877103:  # it asks for TLS
            writer.write(b"N")
            size, _ = struct.unpack("!ii", await reader.readexactly(8))
        parts = (await reader.readexactly(size - 8)).decode().split("\0")
        seen.append({name.lower() for name in parts[::2] if name})
        error = b"SFATAL\0C57P03\0Mnot now\0\0"
        writer.write(b"E" + struct.pack("!i", 4 + len(error)) + error)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with engine.connect(f"postgresql://me@127.0.0.1:{port}/it", POOLED) as database:
            with pytest.raises(DatabaseUnavailable):
                async with database.reading():
                    pass
            with pytest.raises(DatabaseUnavailable):
                async with database.writing() as session:
                    await session.connection()
    assert len(seen) == 2
    assert set().union(*seen) <= ALLOWED


async def test_every_transaction_has_the_limits_of_a_session_and_leaves_none_behind(
    pooled: engine.Database, pooled_url: str
) -> None:
    async with pooled.reading() as connection:
        read = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in SETTINGS}
        timeout = await connection.fetchval("SHOW statement_timeout")
        assert await connection.fetchval("SHOW transaction_read_only") == "on"
    assert (read, timeout) == (SETTINGS, "7s")
    async with pooled.writing() as session:
        for name, value in (SETTINGS | {"statement_timeout": "9s"}).items():
            assert await session.scalar(text(f"SHOW {name}")) == value
    left = await asyncpg.connect(pooled_url, statement_cache_size=0)
    try:
        async with left.transaction():
            assert await left.fetchval("SHOW lock_timeout") == "0"
    finally:
        await left.close()


async def test_what_takes_too_long_is_stopped_and_its_connection_used_again(pooled_url: str) -> None:
    short = engine.Limits(pooled=True, connect=60, read=0.2, lock=0.2, readers=1, writers=2)
    async with engine.connect(pooled_url, short) as database:
        with pytest.raises((TimeoutError, asyncpg.QueryCanceledError)):
            async with database.reading() as connection:
                await connection.fetchval("SELECT pg_sleep(600)")

        async def answers() -> bool:
            with suppress(TimeoutError):  # so little time is none where the machine is busy
                async with database.reading() as connection:
                    return bool(await connection.fetchval("SELECT 1"))
            return False

        await wait_until(answers)
        async with database.writing() as first:
            await (await first.connection()).execute(text("LOCK TABLE secret"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                async with database.writing() as second:
                    await (await second.connection()).execute(text("LOCK TABLE secret"))


async def test_a_refused_statement_is_reported_and_the_connection_used_again(pooled: engine.Database) -> None:
    with pytest.raises(DatabaseUnavailable):  # as of a server that takes no writes
        async with pooled.reading() as connection:
            await connection.execute("DELETE FROM token")
    async with pooled.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM token") == 0


async def test_many_at_once_share_the_servers_connections(pooled: engine.Database) -> None:
    async def one(number: int) -> None:
        async with pooled.writing() as session:
            await tokens.create(session, name=f"token {number}", scope=tokens.Scope.READ)
        async with pooled.reading() as connection:
            assert await connection.fetchval("SELECT count(*) FROM token WHERE name = $1", f"token {number}") == 1
            assert await connection.fetchval("SELECT $1::jsonb ->> 'a'", '{"a": "b"}') == "b"

    await asyncio.gather(*(one(number) for number in range(100)))
    async with pooled.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM token") == 100
    assert POOLED.readers + POOLED.writers > SERVER_CONNECTIONS


async def test_notifications_of_a_reader_go_out(pooled: engine.Database, database_url: str) -> None:
    listening = await asyncpg.connect(database_url)
    received: asyncio.Queue[str] = asyncio.Queue()
    try:
        await listening.add_listener(CHANNEL, lambda *arguments: received.put_nowait(str(arguments[-1])))
        async with pooled.reading() as connection:
            await notify(connection, "job", 7)
        assert await asyncio.wait_for(received.get(), TIMEOUT) == "job:7"
    finally:
        await listening.close()
