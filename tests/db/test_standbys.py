"""Reads of clients on a real standby, which is paused, stopped and killed, and so is its primary."""

import asyncio
import ctypes
import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pytest

from db.postgres import engine, sql
from db.postgres.engine import Database
from db.postgres.standbys import CLIENTS, UNKNOWN, Positions, Server, Standby, Standbys
from tests.conftest import execute
from tests.pgbouncer import PROGRAM, pgbouncer
from tests.standby import Pair, PostgresServer, pair
from tests.waiting import LIMITS, TIMEOUT, wait_until

ANN, BOB, CARL = 1, 2, 3
READ = "SELECT coalesce(max(number), 0) FROM written"
WHERE = "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END"
# On a standby it waits, and holds a lock that is in the way of replaying TRUNCATE.
HANG = """SELECT CASE WHEN pg_is_in_recovery() THEN (SELECT count(*) FROM emptied)::text || pg_sleep(3600)::text
    ELSE 'primary' END"""
HANGING = """SELECT count(*) = 1 FROM pg_stat_activity
    WHERE wait_event = 'PgSleep' AND application_name = 'labelgraph'"""

Connected = Callable[..., AbstractAsyncContextManager[Database]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as servers:
        asyncio.run(execute(servers.primary.url, "CREATE TABLE written (number int); CREATE TABLE emptied ()"))
        yield servers


@pytest.fixture
def connected(servers: Pair) -> Connected:
    limits = replace(LIMITS, lag=TIMEOUT)
    return partial(engine.connect, servers.primary.url, limits=limits, standbys=[servers.standby.url])


@pytest.fixture
async def database(connected: Connected) -> AsyncIterator[Database]:
    async with connected() as database:
        await wait_until(lambda: is_in_use(database))
        yield database


def standbys(database: Database) -> Standbys:
    assert database.standbys is not None
    return database.standbys


async def is_in_use(database: Database, client: int = CARL) -> bool:
    """Whether the standby answers the client; Carl never writes."""
    return bool(await read(database, client, WHERE) == "standby")


async def last_number(servers: Pair) -> int:
    """That was written last, once the standby has it."""
    number = int(await servers.primary.value(READ))

    async def is_there() -> bool:
        return bool(await servers.standby.value(READ) == number)

    await wait_until(is_there)
    return number


async def read(database: Database, client: int, statement: str = READ, *, position: int = 0) -> Any:
    return await database.of_client(client, position=position, may_use_standbys=True).value(statement)


async def sees(database: Database, client: int, number: int) -> bool:
    return bool(await read(database, client) == number)


async def write(database: Database, client: int, number: int) -> int:
    """As a mutation does; the position that its response has."""
    mutation = database.of_client(client, may_use_standbys=False)
    async with mutation.writing() as session:
        connection = await sql.raw_connection(await session.connection())
        await connection.execute("INSERT INTO written VALUES ($1)", number)
    await mutation.advance_position()
    assert mutation.client is not None
    return mutation.client.shown


async def test_a_client_sees_its_own_writes_and_others_what_the_standby_has(database: Database, servers: Pair) -> None:
    before = await last_number(servers)
    async with servers.standby.paused():
        await write(database, ANN, before + 1)
        assert await read(database, ANN) == before + 1
        assert await read(database, BOB) == before
        assert await read(database, BOB, WHERE) == "standby"
    await wait_until(lambda: sees(database, BOB, before + 1))
    for number in range(before + 2, before + 30):
        await write(database, ANN, number)
        assert await read(database, ANN) == number
    await wait_until(lambda: is_in_use(database, ANN))
    async with servers.standby.paused():
        await write(database, BOB, before + 100)
        assert await read(database, ANN) == before + 29


async def test_a_position_carries_to_another_server_what_its_client_saw(connected: Connected, servers: Pair) -> None:
    async with connected() as one, connected() as other:
        await wait_until(lambda: is_in_use(one))
        await wait_until(lambda: is_in_use(other))
        before = await last_number(servers)
        async with servers.standby.paused():
            position = await write(one, ANN, before + 1)
            assert await read(other, ANN) == before
            reading = other.of_client(ANN, position=position, may_use_standbys=True)
            assert await reading.value(READ) == before + 1
            assert reading.client is not None
            seen = reading.client.shown
            assert seen >= position
            assert await read(one, BOB) == before
            assert await read(one, BOB, position=seen) == before + 1


async def test_processes_that_share_positions_are_one_server_also_when_one_is_killed(
    connected: Connected, servers: Pair
) -> None:
    slots = [0] * (2 * CLIENTS)
    async with (
        connected(positions=Positions(slots, row=0)) as one,
        connected(positions=Positions(slots, row=1)) as other,
    ):
        await wait_until(lambda: is_in_use(one))
        await wait_until(lambda: is_in_use(other))
        before = await last_number(servers)
        async with servers.standby.paused():
            await write(one, ANN, before + 1)
            assert await read(other, ANN) == before + 1
            assert await read(other, BOB) == before
            async with one.writing() as session:  # killed before it could say so
                connection = await sql.raw_connection(await session.connection())
                await connection.execute("INSERT INTO written VALUES ($1)", before + 2)
            assert await read(other, BOB) == before
            async with connected(positions=Positions(slots, row=0)) as again:
                assert await read(other, BOB) == before + 2
                await wait_until(lambda: standbys(again).positions.are_known)
                assert await read(other, BOB) == before + 2
                assert await read(again, BOB) == before + 2


async def test_one_that_is_too_far_behind_is_left_out_until_it_has_caught_up(
    servers: Pair, connected: Connected
) -> None:
    async with connected(limits=replace(LIMITS, lag=0.3)) as database:
        await wait_until(lambda: is_in_use(database))
        before = await last_number(servers)
        async with servers.standby.paused():
            await write(database, ANN, before + 1)
            await wait_until(lambda: sees(database, BOB, before + 1))
            assert await read(database, BOB, WHERE) == "primary"
        await wait_until(lambda: is_in_use(database))


async def test_what_is_no_standby_of_the_primary_is_not_read(servers: Pair) -> None:
    await execute(servers.primary.url, "CREATE DATABASE other")
    other = servers.standby.url.replace("/postgres?", "/other?")
    urls = [servers.primary.url, other, "postgresql://nobody@127.0.0.1:1/none", servers.standby.url]
    async with engine.connect(servers.primary.url, LIMITS, standbys=urls) as database:
        *others, last = standbys(database).all
        await wait_until(lambda: last.is_well and all(standby.position for standby in others[:2]))
        assert [standby.is_well for standby in others] == [False, False, False]


@pytest.fixture
def promoted(tmp_path: Path) -> Iterator[Pair]:
    """Of which the standby is going to be promoted."""
    with pair(tmp_path) as servers:
        asyncio.run(execute(servers.primary.url, "CREATE TABLE written (number int)"))
        yield servers


async def test_a_standby_that_is_promoted_has_no_more_of_the_primary_than_before(promoted: Pair) -> None:
    """Its own log goes on from there: soon it has passed positions of the primary, without what was written there."""
    primary, other = promoted.primary, promoted.standby
    async with engine.connect(primary.url, replace(LIMITS, lag=TIMEOUT), standbys=[other.url]) as database:
        await wait_until(lambda: is_in_use(database))
        for statement in ("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"):
            await execute(other.url, statement)
        await wait_until(lambda: is_alone(primary))
        await write(database, ANN, 1)
        for statement in ("SELECT pg_promote()", "CREATE TABLE own AS SELECT generate_series(1, 99)"):
            await execute(other.url, statement)
        [standby] = standbys(database).all
        assert await other.value("SELECT pg_current_wal_insert_lsn()") > standbys(database).positions.of(ANN)
        await wait_until(lambda: not standby.is_well)
        standby.is_well, standby.position = True, 0  # as it was until it was looked at
        assert await read(database, ANN) == 1


async def is_alone(primary: PostgresServer) -> bool:
    return bool(await primary.value("SELECT count(*) = 0 FROM pg_stat_replication"))


async def test_a_read_that_replay_cancels_is_repeated_on_the_primary(database: Database, servers: Pair) -> None:
    async with hanging(database, servers) as reading:
        await execute(servers.primary.url, "TRUNCATE emptied")
        assert await reading == "primary"
    assert await is_in_use(database)


async def test_reads_go_on_when_the_standby_is_killed(database: Database, servers: Pair) -> None:
    async with hanging(database, servers) as reading:
        await servers.standby.kill()
        assert await reading == "primary"
    assert await read(database, ANN, WHERE) in ("primary", "standby")
    await wait_until(lambda: is_in_use(database))


async def test_reads_go_on_when_the_standby_says_nothing(database: Database, servers: Pair) -> None:
    async with hanging(database, servers) as reading:
        standbys(database).all[0].silence = 1.0
        with servers.standby.stopped():
            assert await reading == "primary"
            assert await read(database, ANN, WHERE) == "primary"
    await wait_until(lambda: is_in_use(database))


async def test_reads_go_on_while_the_primary_is_away_and_after_it_was_killed(database: Database, servers: Pair) -> None:
    before = await last_number(servers)
    standbys(database).primary.silence = 1.0
    with servers.primary.stopped():
        assert await read(database, BOB) == before
        unsure = database.of_client(ANN, may_use_standbys=False)
        await unsure.advance_position()
        assert unsure.client is not None
        assert unsure.client.shown == UNKNOWN
        assert standbys(database).choose(standbys(database).positions.of(ANN)) is None
        await servers.primary.kill()
    await write(database, BOB, before + 1)
    assert await read(database, BOB) == before + 1
    await wait_until(lambda: is_in_use(database, ANN))


@asynccontextmanager
async def hanging(database: Database, servers: Pair) -> AsyncIterator[asyncio.Task[Any]]:
    """A read that runs on the standby, and does not end there."""
    reading = asyncio.create_task(read(database, BOB, HANG))
    try:
        await wait_until(lambda: servers.standby.value(HANGING))
        yield reading
    finally:
        reading.cancel()
        await asyncio.wait([reading])


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")
async def test_both_servers_may_be_behind_pgbouncer(servers: Pair) -> None:
    limits = replace(LIMITS, lag=TIMEOUT, pooled=True)
    async with (
        pgbouncer(servers.primary.url) as url,
        pgbouncer(servers.standby.url) as standby,
        engine.connect(url, limits, standbys=[standby]) as database,
    ):
        await wait_until(lambda: is_in_use(database))
        before = await last_number(servers)
        async with servers.standby.paused():
            await write(database, ANN, before + 1)
            assert await read(database, ANN) == before + 1
            assert await read(database, BOB) == before


@pytest.mark.parametrize("is_shared", [False, True])
async def test_a_position_that_is_not_known_is_replaced_by_one_that_is_later(*, is_shared: bool) -> None:
    """Also in memory that processes share."""
    shared: Any = multiprocessing.RawArray(ctypes.c_uint64, CLIENTS)
    positions = Positions(shared if is_shared else None)
    assert positions.of(ANN) == UNKNOWN
    asked = 0

    async def position() -> int:
        nonlocal asked
        asked += 1
        if asked == 1:  # a commit meanwhile, whose position is not known either
            positions.add(ANN, UNKNOWN)
        return asked

    await positions.find_unknown(position)
    assert positions.of(BOB) == UNKNOWN
    await positions.find_unknown(position)
    assert (positions.of(ANN), positions.of(BOB)) == (2, 2)
    await positions.find_unknown(position)
    assert asked == 2
    positions.add(BOB, 7)
    positions.add(BOB, 5)
    assert (positions.of(ANN), positions.of(BOB), positions.of(BOB + CLIENTS)) == (2, 7, 7)


def test_how_far_behind_a_standby_is() -> None:
    standby = Standby("one", Server(never, pooled=False), 1.0, never)
    standby.compare(100, at=1.0)
    assert standby.lag == inf, "it was not seen at any position of the primary"
    standby.position = 99
    standby.compare(200, at=2.0)
    assert standby.lag == inf
    standby.position = 100
    standby.compare(300, at=3.0)
    assert standby.lag == 0
    standby.position = 250
    standby.compare(400, at=5.0)
    assert standby.lag == 2.0
    standby.position = 300
    standby.compare(500, at=6.0)
    assert standby.lag == 0


async def never() -> Any:
    pytest.fail("nothing connects")
