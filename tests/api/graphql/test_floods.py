"""WebSocket clients that send without end: closed, before and after `connection_init`."""

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

import pytest

from api.connections.websocket import HANDSHAKE
from api.settings import Settings
from tests.api.connections.raw_connection import GET, TIMEOUT, RawConnection, limited, raw_connection
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving

TEXT, PING = 0x81, 0x89
PING_MESSAGE = b'{"type":"ping"}'


def frame(first: int, payload: bytes) -> bytes:
    """Masked, by a mask that changes nothing."""
    if len(payload) < 126:
        return struct.pack("!BB4x", first, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", first, 0xFE, len(payload)) + payload


def handshake(client: Client, *more: str) -> bytes:
    lines = [
        "GET /graphql HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def upgraded(
    client: Client, *more: str, greet: bool = False, address: str = "127.0.0.1"
) -> AsyncIterator[RawConnection]:
    async with raw_connection(client.url, address) as raw:
        raw.writer.write(handshake(client, *more))
        assert await raw.status() == 101
        if greet:
            payload = {"authorization": f"Bearer {client.token}"}
            raw.writer.write(frame(TEXT, json.dumps({"type": "connection_init", "payload": payload}).encode()))
            assert await asyncio.wait_for(raw.reader.read(4096), TIMEOUT)  # the acknowledgement, packed or not
        yield raw


async def closing(raw: RawConnection) -> int | None:
    """The code with which the server closes; None where the connection broke before it was read."""
    try:
        while True:
            async with asyncio.timeout(TIMEOUT):
                first, length = await raw.reader.readexactly(2)
                if length == 126:
                    (length,) = struct.unpack("!H", await raw.reader.readexactly(2))
                payload = await raw.reader.readexactly(length)
            if first & 0x0F == 0x8:
                (code,) = struct.unpack("!H", payload[:2])
                return int(code)
    except (ConnectionError, asyncio.IncompleteReadError):
        return None


FLOODS = {
    "ping messages": frame(TEXT, PING_MESSAGE),
    "ping frames": frame(PING, b""),
    "pong frames": frame(0x8A, b""),
    "completions": frame(TEXT, b'{"type":"complete","id":"1"}'),
}


@pytest.mark.parametrize("greet", [False, True])
@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_closes_the_socket(client: Client, what: str, greet: bool) -> None:
    async with upgraded(client, greet=greet) as raw:
        sending = asyncio.create_task(raw.send_without_end(FLOODS[what] * 2_000))
        assert await closing(raw) in (4429, 4400, None)
        await asyncio.wait_for(sending, TIMEOUT)


async def test_an_address_that_floods_again_and_again_is_refused(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its allowance does not grow here, however long the test takes."""
    monkeypatch.setattr("api.connections.open_connections.FRAMES", 0)
    async with serving(settings, ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, client.token)
        other = await stack.enter_async_context(upgraded(client, greet=True, address="127.0.0.3"))
        for _ in range(4):
            async with raw_connection(client.url, "127.0.0.2") as raw:
                raw.writer.write(handshake(client))
                if await raw.status() == 429:
                    break
                sending = asyncio.create_task(raw.send_without_end(FLOODS["ping frames"] * 2_000))
                await closing(raw)
                await asyncio.wait_for(sending, TIMEOUT)
        else:
            pytest.fail("the address was never refused")
        other.writer.write(frame(TEXT, PING_MESSAGE))
        assert await asyncio.wait_for(other.reader.read(4096), TIMEOUT)
        async with upgraded(client, greet=True, address="127.0.0.3"):
            pass


async def test_sockets_of_an_address_that_floods_count_as_connections_and_end_in_the_handshake(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The third overdraws the allowance of its address, the fourth by a whole burst; all are connected before."""
    now = 0.0
    monkeypatch.setattr("api.connections.open_connections.FRAMES_BURST", HANDSHAKE * 1.75)
    monkeypatch.setattr("api.limits.rates.time", SimpleNamespace(monotonic=lambda: now))
    async with serving(limited(settings, address_connections=4), ToySchema()) as url, AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(raw_connection(url, "127.0.0.2")) for _ in range(4)]
        for raw in raws:
            raw.writer.write(GET)
            assert await raw.status() == 200
            await raw.reader.readexactly(len(b'{"status":"ok"}'))
        for raw in raws:
            raw.writer.write(handshake(client))
        assert [await raw.status() for raw in raws[:3]] == [101] * 3
        await raws[3].closed()
        now = 60.0  # the allowance is whole again
        fourth = await stack.enter_async_context(raw_connection(url, "127.0.0.2"))
        fourth.writer.write(GET)
        assert await fourth.status() == 200
        fourth.writer.write(handshake(client))
        await fourth.reader.readexactly(len(b'{"status":"ok"}'))
        assert await fourth.status() == 101
        async with raw_connection(url, "127.0.0.2") as fifth:
            fifth.writer.write(GET)
            assert await fifth.status() == 429
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_message_of_endless_pieces_closes_the_socket(client: Client) -> None:
    async with upgraded(client, greet=True) as raw:
        raw.writer.write(frame(0x01, b""))
        sending = asyncio.create_task(raw.send_without_end(frame(0x00, b"") * 2_000))
        assert await closing(raw) in (4429, None)
        await asyncio.wait_for(sending, TIMEOUT)


async def test_no_more_than_a_few_messages_come_before_connection_init(client: Client) -> None:
    async with upgraded(client) as raw:
        raw.writer.write(frame(TEXT, PING_MESSAGE) * 17)
        assert await closing(raw) == 4429


async def test_ping_frames_do_not_put_off_connection_init(client: Client, settings: Settings) -> None:
    async def ping(raw: RawConnection) -> None:
        while not raw.writer.is_closing():
            raw.writer.write(frame(PING, b""))
            await asyncio.sleep(0.05)

    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(socket_init=0.5))
    async with serving(changed, ToySchema()) as url, upgraded(Client(url, client.token)) as raw:
        pinging = asyncio.create_task(ping(raw))
        assert await closing(raw) == 4408
        pinging.cancel()


async def test_a_message_that_inflates_without_end_is_refused(client: Client) -> None:
    async with upgraded(client, "Sec-WebSocket-Extensions: permessage-deflate", greet=True) as raw:
        packer = zlib.compressobj(9, zlib.DEFLATED, -12)
        packed = packer.compress(b" " * 10_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
        raw.writer.write(frame(TEXT | 0x40, packed[:-4]))
        assert await closing(raw) == 1009


async def test_messages_at_a_usual_rate_are_all_answered(client: Client) -> None:
    async with upgraded(client, greet=True) as raw:
        raw.writer.write(frame(TEXT, PING_MESSAGE) * 300)
        got = b""
        async with asyncio.timeout(TIMEOUT):
            while got.count(b"pong") < 300:
                got += await raw.reader.read(65536)


async def test_a_handshake_with_a_long_line_is_answered(client: Client) -> None:
    async with raw_connection(client.url) as raw:
        raw.writer.write(handshake(client, "X: " + "a" * 9_000))
        assert await raw.status() == 431
        await raw.closed()
