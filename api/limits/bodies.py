"""Request bodies: how large they may be, and how slowly they may come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Message, Receive

MIN_RATE: Final = 16 * 1024  # bytes a second


class BodyTooLarge(Exception):
    """More bytes than a body may have."""


class BodyTooSlow(Exception):
    """The body was not complete in time."""


class ClientDisconnected(Exception):
    """The client hung up before its body was complete."""


async def wait_for_body(receive: Receive, *, seconds: float) -> Receive:
    """A `receive` of the same body, once its first bytes have come. Raises BodyTooSlow."""
    try:
        async with asyncio.timeout(seconds):
            first = [await receive()]
    except TimeoutError:
        raise BodyTooSlow from None

    async def receive_all() -> Message:
        return first.pop() if first else await receive()

    return receive_all


async def read_body(receive: Receive, *, max_bytes: int, seconds: float, grace: float) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyTooLarge as soon as it passes `max_bytes`, BodyTooSlow, ClientDisconnected.

    It is too slow when it is not complete after `seconds`, or falls behind `MIN_RATE` by more than `grace` seconds.
    """
    start, size, more = asyncio.get_running_loop().time(), 0, True
    while more:
        try:
            async with asyncio.timeout_at(start + min(seconds, grace + size / MIN_RATE)):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLarge
        more = message.get("more_body", False)
        yield chunk
