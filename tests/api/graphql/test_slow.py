"""Clients that take their time: raw sockets that send half of what they should."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT

HEAD = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator["Wire"]:
    address = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def trickle(self, data: Iterable[int]) -> None:
        for byte in data:
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def rest(self) -> bytes:
        """What comes until the server closes; a test fails when it does not."""
        async with asyncio.timeout(TIMEOUT):
            return await self.reader.read()


@asynccontextmanager
async def hasty(settings: Settings, database: Database, **timeouts: float) -> AsyncIterator[Client]:
    """A server with one timeout that is short; who meets it never goes on, however slow the machine is."""
    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(**timeouts))
    async with serving(changed, ToySchema()) as url:
        yield Client(url, await token(database))


@pytest.mark.parametrize("sent", [b"", b"POST /gra", HEAD, HEAD + b"X-Long: aaaa"])
async def test_closes_on_headers_that_do_not_end(settings: Settings, database: Database, sent: bytes) -> None:
    async with hasty(settings, database, header=0.3) as client, connected(client) as wire:
        wire.writer.write(sent)
        assert await wire.rest() == b""


async def test_closes_on_headers_that_trickle(settings: Settings, database: Database) -> None:
    async with hasty(settings, database, header=0.3) as client, connected(client) as wire:
        with pytest.raises(ConnectionError):
            await wire.trickle(itertools.cycle(HEAD[:-2] + b"X"))


async def test_closes_on_a_second_request_that_does_not_end(settings: Settings, database: Database) -> None:
    """Between two requests it waits longer."""
    async with hasty(settings, database, header=0.3) as client:
        answered = False
        while not answered:  # a slow machine may send the first too late
            async with connected(client) as wire:
                wire.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                with suppress(asyncio.IncompleteReadError, ConnectionError):
                    answered = (await wire.reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
                if answered:
                    await asyncio.sleep(0.4)  # any time will do that is longer than `header`
                    wire.writer.write(HEAD)
                    assert await wire.rest() == b""


async def test_reports_that_a_body_was_too_slow(settings: Settings, database: Database) -> None:
    async with hasty(settings, database, body=0.3) as client, connected(client) as wire:
        wire.writer.write(HEAD + f"Authorization: Bearer {client.token}\r\nContent-Length: 100\r\n\r\n{{".encode())
        answer = await wire.rest()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"did not arrive in time" in answer


async def test_serves_others_while_many_wait(client: Client) -> None:
    async with AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(connected(client)) for _ in range(50)]
        for wire in waiting:
            wire.writer.write(HEAD)
            await wire.writer.drain()
        assert await client.execute("{ hello }") == {"hello": "hello world"}
        assert not any(wire.reader.at_eof() for wire in waiting)
