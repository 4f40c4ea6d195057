"""Clients that take their time: raw sockets that send half of what they should."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.client import Client

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

    async def trickle(self, data: bytes) -> None:
        for byte in data:
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def rest(self) -> bytes:
        """What comes until the server closes; a test fails when it does not."""
        async with asyncio.timeout(6):
            return await self.reader.read()


@pytest.mark.parametrize("sent", [b"", b"POST /gra", HEAD, HEAD + b"X-Long: aaaa"])
async def test_closes_on_headers_that_do_not_end(client: Client, sent: bytes) -> None:
    start = time.monotonic()
    async with connected(client) as wire:
        wire.writer.write(sent)
        assert await wire.rest() == b""
    assert time.monotonic() - start < 5


async def test_closes_on_headers_that_trickle(client: Client) -> None:
    async with connected(client) as wire:
        with pytest.raises(ConnectionError):
            await wire.trickle(HEAD * 20)


async def test_closes_on_a_second_request_that_does_not_end(client: Client) -> None:
    async with connected(client) as wire:
        wire.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await wire.reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(1.6)
        wire.writer.write(HEAD)
        assert await wire.rest() == b""


async def test_tells_a_slow_body_that_it_was_too_slow(client: Client) -> None:
    async with connected(client) as wire:
        wire.writer.write(HEAD + f"Authorization: Bearer {client.token}\r\nContent-Length: 100\r\n\r\n{{".encode())
        answer = await wire.rest()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"did not arrive in time" in answer


async def test_serves_others_while_many_wait(client: Client) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(hold(client))
        await asyncio.sleep(0.1)
        start = time.monotonic()
        assert await client.execute("{ hello }") == {"hello": "hello world"}
        assert time.monotonic() - start < 3


async def hold(client: Client) -> None:
    async with connected(client) as wire:
        wire.writer.write(HEAD)
        await wire.rest()
