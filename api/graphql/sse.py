"""GraphQL over server-sent events, distinct connections mode: one operation, one stream, closed after `complete`."""

import asyncio
from contextlib import aclosing

from starlette.types import Receive, Send

from api.auth import unauthenticated
from api.graphql.operations import answers
from api.runtime import Runtime
from db.concurrency_limits import race
from schema.context import Context
from schema.execution.messages import Answer, Request

COMPLETE = b"event: complete\ndata:\n\n"
ALIVE = b":\n\n"  # a comment: keeps proxies from closing a silent stream
KEEP_ALIVE_SECONDS = 12.0
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


async def respond(
    process: Runtime, request: Request, context: Context, token: str | None, receive: Receive, send: Send
) -> None:
    """Streams until the operation completes, the client leaves, the server stops, or the token is revoked."""
    with process.streams.acquire(context.identity.token_id):
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        *_, revoked = await race(
            _stream(process, request, context, send),
            keep_alive(send),
            until_disconnected(receive),
            process.stopping.wait(),
            process.authenticator.until_revoked(token),
        )
        if not revoked.cancelled():
            await send(body(frame(Answer(errors=unauthenticated().errors)) + COMPLETE))
        await send({"type": "http.response.body", "body": b""})


async def _stream(process: Runtime, request: Request, context: Context, send: Send) -> None:
    async with aclosing(answers(process, request, context)) as source:
        async for answer in source:
            await send(body(frame(answer)))
    await send(body(COMPLETE))


async def keep_alive(send: Send) -> None:
    while True:
        await asyncio.sleep(KEEP_ALIVE_SECONDS)
        await send(body(ALIVE))


def frame(answer: Answer | bytes) -> bytes:
    """The event of an answer; with the id that a client sends as Last-Event-ID, to go on behind it."""
    if isinstance(answer, bytes):
        return b"event: next\ndata: " + answer + b"\n\n"
    id_line = f"id: {answer.cursor}\n" if answer.cursor else ""
    return b"event: next\n" + id_line.encode() + b"data: " + answer.encode() + b"\n\n"


async def until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def body(data: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": True}
