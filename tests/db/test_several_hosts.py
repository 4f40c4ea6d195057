"""A URL that names several hosts: the primary and those that may take its place."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest

from db.postgres import engine
from db.postgres.outages import DatabaseUnavailable
from tests.conftest import execute
from tests.standby import Pair, pair
from tests.waiting import LIMITS

SECONDS = 9.0  # for a connection: a third of it for each host
IS_STANDBY = "SELECT pg_is_in_recovery()"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as servers:
        asyncio.run(execute(servers.primary.url, "CREATE SEQUENCE counted"))
        yield servers


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """A host that accepts connections, and says nothing: a machine that hangs."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in connections:
            writer.close()


def folder(url: str) -> str:
    [path] = parse_qs(urlsplit(url).query)["host"]
    return quote(path, safe="")


def of_hosts(*hosts: str, attributes: str = "any") -> str:
    return f"postgresql://labelgraph@{','.join(hosts)}/postgres?target_session_attrs={attributes}"


async def test_one_that_says_nothing_or_is_not_there_leaves_it_to_the_next(
    servers: Pair, silent: str, tmp_path: Path
) -> None:
    url = of_hosts(quote(str(tmp_path), safe=""), silent, folder(servers.primary.url))
    async with engine.connect(url, replace(LIMITS, connect=SECONDS)) as database:
        assert await database.value("SELECT 1") == 1
        async with database.writing():
            pass


async def test_a_standby_is_preferred_wherever_it_stands(servers: Pair) -> None:
    standby, primary = folder(servers.standby.url), folder(servers.primary.url)
    for hosts in ((primary, standby), (standby, primary), (primary, primary)):
        connection = await engine.open_connection(of_hosts(*hosts, attributes="prefer-standby"))
        assert await connection.fetchval(IS_STANDBY) is (standby in hosts)
        await connection.close()


async def test_the_one_that_accepts_writes_is_found_among_standbys(servers: Pair) -> None:
    hosts = folder(servers.standby.url), folder(servers.primary.url)
    for attributes, is_standby in (("any", True), ("read-write", False), ("standby", True)):
        connection = await engine.open_connection(of_hosts(*hosts, attributes=attributes))
        assert await connection.fetchval(IS_STANDBY) is is_standby
        await connection.close()
    async with engine.connect(of_hosts(*hosts, attributes="read-write"), LIMITS) as database:
        assert await database.value(IS_STANDBY) is False
        async with database.writing():
            pass
        with pytest.raises(DatabaseUnavailable, match="accepts no writes"):
            await database.value("SELECT nextval('counted')")
    with pytest.raises(asyncpg.InternalClientError, match="None of the hosts match"):
        await engine.open_connection(of_hosts(hosts[0], hosts[0], attributes="read-write"))
