"""Limits at the doors: how large a body may be and how slowly it may come, and what one document may hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.types import Receive
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.settings import Limits, Settings
from db import decoding, engine
from db.images import Caps
from schema.context import Bounds
from schema.guard import DocumentLimits

# -- what a document and a call may hold ------------------------------------------------------------------------------


def document_limits(limits: Limits) -> DocumentLimits:
    return DocumentLimits(
        source_characters=limits.source,
        tokens=limits.tokens,
        depth=limits.depth,
        aliases=limits.aliases,
        root_fields=limits.root_fields,
        directives=limits.directives,
        cost=limits.cost,
    )


def bounds(limits: Limits) -> Bounds:
    return Bounds(
        page=limits.page,
        ids=limits.ids,
        upload_file=limits.upload_file,
        upload_request=limits.upload_request,
    )


def database_limits(settings: Settings) -> engine.Limits:
    timeouts = settings.timeouts
    return engine.Limits(
        connect=timeouts.connect,
        read=timeouts.query,
        write=timeouts.mutation,
        lock=timeouts.lock,
        readers=settings.pool_size,
        writers=settings.pool_size,
        pooled=settings.pooled,
    )


def caps(limits: Limits) -> Caps:
    return Caps(size=limits.image_file, pixels=limits.image_pixels)


def decoding_limits(settings: Settings) -> decoding.Limits:
    limits = settings.limits
    return decoding.Limits(
        pixels=limits.image_pixels,
        memory=limits.image_memory,
        seconds=settings.timeouts.image,
        together=limits.images,
    )


# -- bodies -----------------------------------------------------------------------------------------------------------


class BodyTooLarge(Exception):
    """More bytes than a body may have."""


class BodyTooSlow(Exception):
    """The body was not complete in time."""


class ClientGone(Exception):
    """The client hung up before its body was complete."""


async def pieces(receive: Receive, *, most: int, seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyTooLarge as soon as it passes `most` bytes, BodyTooSlow, ClientGone."""
    deadline, left, more = asyncio.get_running_loop().time() + seconds, most, True
    while more:
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        left -= len(piece)
        if left < 0:
            raise BodyTooLarge
        more = message.get("more_body", False)
        yield piece


async def linger(receive: Receive, *, seconds: float = 2.0, most: int = 16 * 1024 * 1024) -> None:
    """Read on after a refusal, for a while: closing with unread bytes makes a client lose the answer it was sent."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            more = True
            while more and most > 0:
                message = await receive()
                most -= len(message.get("body", b""))
                more = message.get("more_body", False)


# -- headers ----------------------------------------------------------------------------------------------------------


class Punctual(HttpToolsProtocol):
    """uvicorn's HTTP protocol, closing a connection whose headers are not complete `seconds` after they began.

    uvicorn itself waits for ever: three hundred half-sent requests stayed open until the test gave up. A connection
    that never says anything is closed by the same clock.
    """

    seconds = 5.0
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        idle = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]
        if self._clock is None and idle:
            self._start()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        self._clock = asyncio.get_running_loop().call_later(self.seconds, self._expire)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _expire(self) -> None:
        self._clock = None
        if not self.transport.is_closing():
            self.transport.close()


def http_protocol(seconds: float) -> type[Punctual]:
    """The protocol with a deadline of its own; uvicorn makes one object per connection, and passes no arguments."""
    return type("Punctual", (Punctual,), {"seconds": seconds})


def server_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn's Config must be told, so that these limits hold at the socket too."""
    limits, timeouts = settings.limits, settings.timeouts
    return {
        "http": http_protocol(timeouts.header),
        "ws": "websockets-sansio",
        "ws_max_size": limits.socket_message + 1,  # the view tells the client why, where the protocol just hangs up
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "limit_concurrency": limits.connections,
        "h11_max_incomplete_event_size": 64 * 1024,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.proxies,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": int(timeouts.shutdown),
    }
