"""GraphQL over server-sent events, single connection mode: one stream for the answers of many operations.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. PUT reserves a stream and answers with its token.
Whoever has that opens the stream, once; browsers' EventSource sends no other credentials. Operations come by requests
of their own, signed in as whoever reserved it, and with the token of the stream, which is known to one process.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.types import Receive, Send
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections.open_connections import network_of
from api.graphql import sse
from api.limits.requests import KeyedLimit
from api.runtime import Runtime
from db.concurrency_limits import race
from db.identity.tokens import Identity
from schema.errors import RATE_LIMITED, refusal
from schema.execution.messages import Answer

HEADER: Final = "x-graphql-event-stream-token"
MAX_ID: Final = 128  # characters of an operation's id


@dataclass(slots=True, eq=False)
class EventStream:
    """A stream that was reserved, and perhaps opened. Operations wait until it is open."""

    token: str
    identity: Identity
    credentials: str | None  # the bearer token of the one who reserved it
    max_operations: int
    seats: ExitStack  # what it takes of the limits
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    send: Send | None = None
    is_closed: bool = False

    def start(self, operation: object, source: AsyncGenerator[Answer | bytes, None]) -> None:
        """Send the answers of an operation. Raises HTTPException (400, 404, 409) or Refused."""
        if self.is_closed:  # while the request was read
            raise no_such_stream()
        if not isinstance(operation, str) or not 0 < len(operation) <= MAX_ID:
            raise HTTPException(
                400, f"`extensions.operationId` must be a text of 1 to {MAX_ID} characters; it names the operation."
            )
        if operation in self.running:
            raise HTTPException(409, "An operation of this id runs on the stream already.")
        if len(self.running) >= self.max_operations:
            reason = f"{self.max_operations} operations run on this stream already: stop one first."
            raise refusal(reason, RATE_LIMITED, most=self.max_operations)
        self.running[operation] = asyncio.create_task(self._run(operation, source))

    def stop(self, operation: str | None) -> None:
        """Nothing happens where it has ended."""
        if task := self.running.pop(operation or "", None):
            task.cancel()

    async def close(self) -> None:
        self.is_closed = True
        self.seats.close()
        tasks = list(self.running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, operation: str, source: AsyncGenerator[Answer | bytes, None]) -> None:
        id = orjson.dumps(operation)
        try:
            async with aclosing(source) as results:
                await self.opened.wait()
                assert self.send is not None
                async for answer in results:
                    text = answer if isinstance(answer, bytes) else answer.encode()
                    data = b'{"id":' + id + b',"payload":' + text + b"}"
                    await self.send(sse.body(b"event: next\ndata: " + data + b"\n\n"))
                self._forget(operation)
                await self.send(sse.body(b'event: complete\ndata: {"id":' + id + b"}\n\n"))
        finally:
            self._forget(operation)

    def _forget(self, operation: str) -> None:
        """The id is free again, unless another task has it already."""
        if self.running.get(operation) is asyncio.current_task():
            del self.running[operation]


@dataclass(slots=True)
class EventStreams:
    """The streams of this process, by their tokens."""

    addresses: KeyedLimit  # streams of an address, reserved or open
    proxies: _TrustedHosts  # through which others connect
    _streams: dict[str, EventStream] = field(default_factory=dict)

    def reserve(self, process: Runtime, identity: Identity, credentials: str | None, client: str) -> EventStream:
        """A new stream, given up unless it is opened soon. Raises Refused (RATE_LIMITED)."""
        with ExitStack() as seats:
            seats.enter_context(process.streams.acquire(identity.token_id))
            if client not in self.proxies:
                seats.enter_context(self.addresses.acquire(network_of(client)))
            kept = seats.pop_all()
        limit = process.settings.limits.subscriptions
        stream = EventStream(secrets.token_urlsafe(32), identity, credentials, limit, kept)
        self._streams[stream.token] = stream
        asyncio.get_running_loop().call_later(process.settings.timeouts.socket_init, self._expire, stream)
        return stream

    def find(self, token: str, identity: Identity | None = None) -> EventStream:
        """Raises HTTPException (404), also for the stream of somebody else."""
        stream = self._streams.get(token)
        if stream is None or (identity is not None and identity.token_id != stream.identity.token_id):
            raise no_such_stream()
        return stream

    async def open(self, process: Runtime, stream: EventStream, receive: Receive, send: Send) -> None:
        """Streams until the client leaves, the server stops, or the token is revoked. Raises HTTPException (409), and
        Refused where the token was revoked since the stream was reserved."""
        if stream.send is not None:
            raise HTTPException(409, "The stream is open already.")
        stream.send = send
        try:
            await process.authenticator.identify(stream.credentials)
            await send({"type": "http.response.start", "status": 200, "headers": sse.HEADERS})
            await send(sse.body(sse.ALIVE))  # some browsers take a stream for open only then
            stream.opened.set()
            await race(
                sse.keep_alive(send),
                sse.until_disconnected(receive),
                process.stopping.wait(),
                process.authenticator.until_revoked(stream.credentials),
            )
        finally:
            self._streams.pop(stream.token, None)
            await stream.close()
        await send({"type": "http.response.body", "body": b""})

    def _expire(self, stream: EventStream) -> None:
        if stream.send is None:
            del self._streams[stream.token]
            stream.is_closed = True
            for operation in list(stream.running):
                stream.stop(operation)
            stream.seats.close()


def no_such_stream() -> HTTPException:
    return HTTPException(404, "There is no such stream; reserve one by PUT.")
