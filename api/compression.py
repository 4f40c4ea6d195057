"""Responses are compressed for clients that take it: texts that are sent whole, as GraphQL's answers and the schema.

Streams are not, so no event waits for more to compress; images are compressed already. A class of responses costs a
request less than a middleware, which would see each message of every response.
"""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final

import zstandard
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.graphql.negotiation import qualities
from api.kept_results import kept
from api.runtime import runtime

MIN_BYTES: Final = 1_024  # a shorter text fits into one packet anyway
LARGE_BYTES: Final = 256 * 1024  # takes a millisecond or more: in a thread, where the library lets others go on
SMALLEST, SMALL, LARGEST = 19, 9, 1024 * 1024  # of texts that never change: levels, and up to how many bytes the first
GZIP_LEVEL, ZSTD_LEVEL = 1, 1  # higher ones cost twice as much and save a tenth at most, of an answer


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)  # with gzip's header


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


ENCODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"gzip": _gzip, "zstd": _zstd}
BROWSER: Final = b"sec-fetch-mode"  # a header of browsers, which decode all encodings that they name


class TextResponse(Response):
    """A whole text, compressed if it is large, the client takes that and the settings allow it."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """As starlette's, which encodes the same few headers for each response."""
        pairs = _encoded((*(headers or {}).items(), ("content-type", self.media_type or "")))
        self.raw_headers = [*pairs, (b"content-length", b"%d" % len(self.body))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.body) >= MIN_BYTES and runtime(scope).settings.compression:
            self.raw_headers.append((b"vary", b"Accept-Encoding, Sec-Fetch-Mode"))
            encoding = _encoding_for(scope)
            if encoding is not None:
                before = len(self.body)
                self.body = await _compressed(encoding, bytes(self.body))
                runtime(scope).observer.compressed(encoding, before, len(self.body))
                self.headers["content-encoding"] = encoding
                self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


@lru_cache(maxsize=256)
def _encoded(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _encoding_for(scope: Scope) -> str | None:
    headers = dict(reversed(scope["headers"]))  # the first of each name
    return accepted_encoding(headers.get(b"accept-encoding", b"").decode("latin-1"), is_browser=BROWSER in headers)


async def smallest(request: Request, body: bytes) -> tuple[bytes, Mapping[str, str]]:
    """A text of ours that never changes, as small as the client takes it, and the headers that say so."""
    vary = {"vary": "Accept-Encoding, Sec-Fetch-Mode"}
    if not runtime(request.scope).settings.compression:
        return body, {}
    encoding = _encoding_for(request.scope)
    if encoding is None:
        return body, vary
    return await asyncio.to_thread(_smallest, encoding, body), {**vary, "content-encoding": encoding}


@cache
def _smallest(encoding: str, body: bytes) -> bytes:
    """Takes some tenths of a second, once."""
    if encoding == "gzip":
        return gzip.compress(body, 9, mtime=0)
    return zstandard.ZstdCompressor(level=SMALLEST if len(body) < LARGEST else SMALL).compress(body)


async def _compressed(encoding: str, body: bytes) -> bytes:
    compress = ENCODINGS[encoding]
    return compress(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(compress, body)


@kept(256)
def accepted_encoding(header: str, *, is_browser: bool) -> str | None:
    """That of ours which the client prefers; None where it names none. `*` does not name one.

    Where it prefers neither, a browser gets zstd, and any other client gzip: libraries on Node name zstd also where
    Node, before 22.15, cannot decode it.
    """
    quality = qualities(header)
    best = max(ENCODINGS, key=lambda name: (quality.get(name, 0.0), is_browser == (name == "zstd")))
    return best if quality.get(best, 0.0) > 0 and quality[best] >= quality.get("identity", 0.0) else None
