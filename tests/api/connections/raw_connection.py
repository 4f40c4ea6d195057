"""A connection that is used in bytes, and an application with our protocols."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import Send

from api.server_configuration import server_options
from api.settings import Settings
from tests.client import Client

TIMEOUT = 60.0  # seconds
CHUNK = b"a" * 64 * 1024
SLOW = "{ slow(seconds: 600) }"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(slots=True)
class RawConnection:
    """A connection that is used in bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def status(self) -> int:
        return int((await self.head()).split()[1])

    async def closed(self) -> None:
        """Waits until the server has closed, whatever it sends before."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return

    async def send_without_end(self, data: bytes) -> None:
        """Sends the same again and again, whatever the server answers, until the connection breaks."""
        try:
            while True:
                self.writer.write(data)
                await self.writer.drain()
        except ConnectionError:
            return

    async def flood(self, data: bytes) -> None:
        """Sends the same again and again, until the server closes or answers."""
        try:
            while not self.reader.at_eof() and not self.reader._buffer:  # type: ignore[attr-defined]
                self.writer.write(data)
                await self.writer.drain()
        except ConnectionError:
            return


@asynccontextmanager
async def raw_connection(url: str, address: str = "127.0.0.1") -> AsyncIterator[RawConnection]:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()


def post(client: Client, body: bytes, *more: str, path: str = "/graphql", length: int | None = None) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Authorization: Bearer {client.token}",
        f"Content-Length: {len(body) if length is None else length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def query(text: str) -> bytes:
    return json.dumps({"query": text}).encode()


def limited(settings: Settings, **limits: int) -> Settings:
    return settings.with_changes(limits=settings.limits.with_changes(**limits))


@asynccontextmanager
async def serving_app(app: Any, settings: Settings, **more: Any) -> AsyncGenerator[tuple[uvicorn.Server, str], None]:
    """Another application with our protocols, in this event loop."""
    options = server_options(settings) | more
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", **options))
        with server.capture_signals():
            task = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task


async def answer(send: Send, body: bytes = b"") -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
