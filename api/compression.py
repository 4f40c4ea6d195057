"""Responses are compressed for clients that take it: texts that are sent whole, as GraphQL's answers and the schema.

Streams pass as they are, so no event waits for more to compress; images are compressed already.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import zstandard
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.graphql.negotiation import JSON, PAGE, RESPONSE, qualities

MIN_BYTES: Final = 1_024  # a shorter text fits into one packet anyway
LARGE_BYTES: Final = 256 * 1024  # takes a millisecond or more: in a thread, where the library lets others go on
TYPES: Final = (JSON, RESPONSE, PAGE, "text/plain")
GZIP_LEVEL, ZSTD_LEVEL = 1, 1  # higher ones cost twice as much and save a tenth at most, of an answer


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)  # with gzip's header


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


ENCODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"zstd": _zstd, "gzip": _gzip}  # the best first


class Compression:
    """An ASGI middleware. The encoding of a response varies with Accept-Encoding, and says so in Vary."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        encoding = accepted_encoding(Headers(scope=scope).get("accept-encoding", ""))
        held: list[Message] = []  # the start of a response whose headers depend on its body

        async def send_compressed(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_compressible(Headers(raw=message["headers"])):
                held.append(message)
                return
            if not held:
                await send(message)
                return
            start = held.pop()
            body = message.get("body", b"")
            if not message.get("more_body", False) and len(body) >= MIN_BYTES:
                headers = MutableHeaders(raw=start["headers"])
                headers.add_vary_header("Accept-Encoding")
                if encoding is not None:
                    message = {**message, "body": await _compressed(encoding, body)}
                    headers["content-encoding"] = encoding
                    headers["content-length"] = str(len(message["body"]))
            await send(start)
            await send(message)

        await self.app(scope, receive, send_compressed)


def _is_compressible(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in TYPES and "etag" not in headers


async def _compressed(encoding: str, body: bytes) -> bytes:
    compress = ENCODINGS[encoding]
    return compress(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(compress, body)


@lru_cache(maxsize=256)
def accepted_encoding(header: str) -> str | None:
    """That of ours which the client prefers; None where it names none. `*` does not name one."""
    quality = qualities(header)
    best = max(ENCODINGS, key=lambda name: quality.get(name, 0.0))
    return best if quality.get(best, 0.0) > 0 and quality[best] >= quality.get("identity", 0.0) else None
