"""Request bodies: how large they may be, and how slowly they may come."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

MIN_RATE: Final = 16 * 1024  # bytes a second
CLOSE: Final = {"connection": "close"}  # headers of a response to a body that was not read to its end
TOO_SLOW: Final = "The body did not arrive in time."


async def wait_for_body(receive: Receive, *, seconds: float) -> Receive:
    """A `receive` of the same body, once its first bytes have come. Raises HTTPException."""
    try:
        async with asyncio.timeout(seconds):
            first = [await receive()]
    except TimeoutError:
        raise HTTPException(408, TOO_SLOW, CLOSE) from None

    async def receive_all() -> Message:
        return first.pop() if first else await receive()

    return receive_all


async def read_body(
    receive: Receive,
    *,
    max_bytes: int,
    too_large: Callable[[], Exception],
    seconds: float,
    grace: float,
) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `too_large()` as soon as it passes `max_bytes`, HTTPException, ClientDisconnect.

    It is too slow when it is not complete after `seconds`, or falls behind `MIN_RATE` by more than `grace` seconds.
    """
    start, size, more = asyncio.get_running_loop().time(), 0, True
    while more:
        try:
            async with asyncio.timeout_at(start + min(seconds, grace + size / MIN_RATE)):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, TOO_SLOW, CLOSE) from None
        chunk = _chunk_of(message)
        size += len(chunk)
        if size > max_bytes:
            raise too_large()
        more = message.get("more_body", False)
        yield chunk


async def read_received(receive: Receive, *, max_bytes: int, too_large: Callable[[], Exception]) -> bytes:
    """A body that has come whole already, and so has no deadline. Raises `too_large()`, ClientDisconnect."""
    body = _chunk_of(await receive())
    if len(body) > max_bytes:
        raise too_large()
    return body


def _chunk_of(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    chunk: bytes = message.get("body", b"")
    return chunk
