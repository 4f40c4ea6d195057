"""Limits at the doors: how large a body may be and how slowly it may come, and what one document may hold."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.types import Message, Receive
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections import OpenConnections, protocols
from api.settings import Limits, Settings
from db import defaults
from db.formats import decoding
from db.formats.images import ImageLimits
from db.ingest.sync.options import Guard
from db.postgres import engine
from db.queries import CallLimits
from schema.execution.document_limits import DocumentLimits

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
        items=max(limits.ids, defaults.IDS),
        inputs=limits.inputs,
        page=limits.page,
    )


def call_limits(limits: Limits) -> CallLimits:
    return CallLimits(
        max_ids=limits.ids,
        max_answer_bytes=limits.answer,
        max_file_bytes=limits.upload_file,
        max_request_bytes=limits.upload_request,
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
        searches=max(1, settings.searches),
        pooled=settings.pooled,
    )


def caps(limits: Limits, decoders: decoding.Decoders) -> ImageLimits:
    return ImageLimits(size=limits.image_file, pixels=limits.image_pixels, is_complete=decoders.is_complete)


def removal_guard(settings: Settings) -> Guard:
    return Guard(percent=settings.removal_percent, samples=settings.removal_samples)


def decoding_limits(settings: Settings) -> decoding.Limits:
    limits = settings.limits
    return decoding.Limits(
        pixels=limits.image_pixels,
        memory=limits.image_memory,
        seconds=settings.timeouts.image,
        together=limits.images,
    )


# -- bodies -----------------------------------------------------------------------------------------------------------


SLOWEST: Final = 16 * 1024  # bytes a second


class BodyTooLarge(Exception):
    """More bytes than a body may have."""


class BodyTooSlow(Exception):
    """The body was not complete in time."""


class ClientGone(Exception):
    """The client hung up before its body was complete."""


async def begun(receive: Receive, *, seconds: float) -> Receive:
    """The same body, once its first bytes are here. Raises BodyTooSlow."""
    try:
        async with asyncio.timeout(seconds):
            first = [await receive()]
    except TimeoutError:
        raise BodyTooSlow from None

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


async def pieces(receive: Receive, *, most: int, seconds: float, grace: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyTooLarge as soon as it passes `most` bytes, BodyTooSlow, ClientGone.

    It is too slow when it is not complete after `seconds`, or falls behind `SLOWEST` by more than `grace` seconds.
    """
    start, left, more = asyncio.get_running_loop().time(), most, True
    while more:
        due = grace + (most - left) / SLOWEST
        try:
            async with asyncio.timeout_at(start + min(seconds, due)):
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


# -- the socket ----------------------------------------------------------------------------------------------------


def server_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn's Config must be told, so that these limits hold at the socket too."""
    limits, timeouts = settings.limits, settings.timeouts
    http, websocket = protocols(
        peers=OpenConnections(limits.connections, limits.address_connections, _TrustedHosts(settings.proxies)),
        header=timeouts.header,
        write=timeouts.write,
        frames=limits.socket_messages,
    )
    return {
        "http": http,
        "ws": websocket,
        "ws_max_size": limits.socket_message + 1,  # the view tells the client why, where the protocol just hangs up
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "timeout_keep_alive": timeouts.keep_alive,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.proxies,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": int(timeouts.shutdown),
    }
