"""What endpoints of signed URLs have in common: who may follow one, ranges, streams, and bare statuses for errors."""

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.runtime import runtime
from db.errors import DomainError
from db.identity.tokens import Identity
from db.postgres.outages import explain_to_client
from db.storage import ObjectMissing, Store
from schema.errors import log_defect

LINK_SECONDS, LINK_MARGIN = 300, 30  # how long a link of the store is valid, and the last part in which none is cached
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
Stream = Callable[[int, int], AsyncIterator[bytes]]  # of a start and a length
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",  # signed URLs are meant for pages of other origins
    "referrer-policy": "no-referrer",
}


class Explained(HTTPException):
    """Its detail is for whoever reads the answer: it says what the server's owner can do."""


def open_store(request: Request, location: str) -> Store:
    """Raises HTTPException: 404 where the server's owner does not allow it (any more)."""
    try:
        return runtime(request.scope).stores.open(location)
    except DomainError as error:
        raise Explained(404, error.message) from None


async def answered(
    request: Request, route: str, response: Awaitable[Response], reasons: Mapping[int, str] = MappingProxyType({})
) -> Response:
    """The response, or a bare status: an `<img>` tag shows nothing else. `reasons`: for scripts, by status."""
    with runtime(request.scope).observer.file(route) as end:
        answer = await _answered(response, reasons)
        end(answer.status_code)
        return answer


async def _answered(response: Awaitable[Response], reasons: Mapping[int, str]) -> Response:
    more: Mapping[str, str] = {}
    reason: str | None = None
    try:
        return await response
    except HTTPException as error:
        status, more = error.status_code, error.headers or {}
        reason = error.detail if isinstance(error, Explained) else None
    except ObjectMissing:
        status = 404
    except Exception as error:
        if isinstance(error, DomainError) or explain_to_client(error):
            status, more = 503, {"retry-after": "2"}
        else:
            log_defect(error)
            status = 500
    headers = {**SAFE, **more, "cache-control": "no-store"}
    reason = reason or reasons.get(status)
    return Response(reason, status_code=status, headers=headers, media_type=reason and "text/plain")


async def identify(request: Request, path: str) -> tuple[Identity, int]:
    """Whose URL it is, and for how many seconds it is still valid. Raises HTTPException: 403 when it is not (any
    more)."""
    process, query = runtime(request.scope), request.query_params
    token_id, expiry, now = number(query.get("i", "")), number(query.get("e", "")), time.time()
    if not process.signer.is_valid(path, token_id, expiry, query.get("s", ""), now):
        raise HTTPException(403)
    identity = await process.authenticator.identify_id(token_id)
    if identity is None:
        raise HTTPException(403)
    return identity, int(expiry - now)


async def part(request: Request, store: Store, path: str, size: int, headers: dict[str, str]) -> Response:
    """The requested range of an object of this size, with its headers; its etag is among them, or empty."""
    return await part_of(request, lambda start, length: store.stream(path, start=start, length=length), size, headers)


async def part_of(
    request: Request, stream: Stream, size: int, headers: dict[str, str], close: Callable[[], None] = lambda: None
) -> Response:
    """As `part`, of what `stream` yields from a start on. `close` is called once nothing is read any more, whatever
    ends the answer."""
    with ExitStack() as held:
        held.callback(close)
        if headers["etag"] and is_cached(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        start, end = _range(request, size, headers["etag"])
        status = 206 if end - start < size else 200
        headers["content-length"] = str(end - start)
        if status == 206:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD" or end == start:
            return Response(status_code=status, headers=headers)
        content = stream(start, end - start)
        first = await anext(content, b"")  # a failure before that can still have a status of its own
        return Streamed(first, content, held.pop_all().close, status_code=status, headers=headers)


class Streamed(StreamingResponse):
    """Closes what it reads when the answer ends or its client is gone, however little was sent."""

    def __init__(
        self,
        first: bytes,
        rest: AsyncIterator[bytes],
        close: Callable[[], None],
        *,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        self._rest, self._close = rest, close
        super().__init__(self._chunks(first), status_code=status_code, headers=headers)

    async def _chunks(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        async for chunk in self._rest:
            yield chunk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
            for each in (self.body_iterator, self._rest):
                if isinstance(each, AsyncGenerator):
                    await each.aclose()


def _range(request: Request, size: int, etag: str) -> tuple[int, int]:
    """The requested bytes, [start, end). One range; several, or a nonsensical one, mean the whole."""
    match = RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", etag) != etag or match.group(0) == "bytes=-":
        return 0, size
    first, last = match.groups()
    start, end = (int(first), int(last or size - 1) + 1) if first else (max(size - int(last), 0), size)
    if start >= size or end <= start:
        raise HTTPException(416, headers={"content-range": f"bytes */{size}"})
    return start, min(end, size)


def is_cached(request: Request, etag: str) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return etag in (tag.strip().removeprefix("W/") for tag in tags)


def number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise HTTPException(404)
    return int(text)
