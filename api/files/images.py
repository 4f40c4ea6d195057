"""Images and thumbnails of signed URLs (`db/identity/urls.py`): for `<img>` tags, which send no token.

What is served is an image or nothing: its media type comes from the format that was decoded at the sync, never from
the file or its name, and `nosniff` keeps browsers from thinking otherwise.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.runtime import Runtime, runtime
from db.errors import DomainError, StorageError
from db.formats.images import MEDIA_TYPES
from db.storage import ObjectMissing, Store, StoredObject
from schema.errors import log_defect

SMALLEST, LARGEST = 16, 1024  # longest side of a thumbnail, in pixels
LINK, SPARE = 300, 30  # seconds that a link of the store holds, and for which nobody is sent to it any more
NUMBER = re.compile(r"[1-9][0-9]{0,17}")
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",  # image URLs are meant for pages of other origins
    "referrer-policy": "no-referrer",
}


class NoImage(Exception):
    """Told as a bare status: an `<img>` tag shows nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Found:
    """An image that the bearer of the URL may see."""

    source_id: int
    store: Store
    path: str
    etag: str
    size: int
    media: str
    seconds: int  # that the URL still holds


async def image(request: Request) -> Response:
    """The endpoint of /images/{source}."""
    return await _told(_image(request))


async def thumbnail(request: Request) -> Response:
    """The endpoint of /thumbnails/{source}/{size}."""
    return await _told(_thumbnail(request))


async def _told(answer: Awaitable[Response]) -> Response:
    """Failures as a bare status, which is all that an `<img>` tag looks at."""
    try:
        return await answer
    except NoImage as problem:
        status = problem.status
    except DomainError:
        status = 503
    except Exception as error:
        log_defect(error)
        status = 500
    retry = {"retry-after": "2"} if status == 503 else {}
    return Response(status_code=status, headers={**SAFE, **retry, "cache-control": "no-store"})


async def _image(request: Request) -> Response:
    found = await _find(request, f"/images/{request.path_params['source']}")
    return await _respond_with_image(request, found)


async def _thumbnail(request: Request) -> Response:
    source, size = request.path_params["source"], request.path_params["size"]
    found = await _find(request, f"/thumbnails/{source}/{size}")
    return await _respond_with_thumbnail(request, found, clamped(_number(size)))


def clamped(size: int) -> int:
    return min(max(size, SMALLEST), LARGEST)


async def _find(request: Request, path: str) -> Found:
    """Raises NoImage: 403 when the URL does not hold (any more), 404 when there is nothing to see."""
    process = runtime(request.scope)
    token_id, expiry = _number(request.query_params.get("i", "")), _number(request.query_params.get("e", ""))
    now = time.time()
    if not process.signer.holds(path, token_id, expiry, request.query_params.get("s", ""), now):
        raise NoImage(403)
    identity = await process.authenticator.identify_id(token_id)
    if identity is None:
        raise NoImage(403)
    async with process.database.reading() as connection:
        row = await connection.fetchrow(SOURCE, _number(request.path_params["source"]))
    if row is None or not identity.sees(row["dataset_id"]):
        raise NoImage(404)
    store = _open(process, row["input_path"])
    media, seconds = MEDIA_TYPES[row["format"]], int(expiry - now)
    return Found(row["id"], store, row["path"], row["etag"], row["size"], media, seconds)


SOURCE = """
    SELECT s.id, s.dataset_id, s.path, s.etag, s.size, s.format, d.input_path
    FROM source s JOIN dataset d ON d.id = s.dataset_id
    WHERE s.id = $1 AND s.status = 'PRESENT' AND s.format IS NOT NULL AND d.deleted_at IS NULL
"""


def _open(process: Runtime, input_path: str) -> Store:
    try:
        return process.stores.open(input_path)
    except DomainError:
        raise NoImage(404) from None


async def _respond_with_image(request: Request, found: Found) -> Response:
    link = await _link(request, found)
    if link is not None:
        headers = {**SAFE, "cache-control": f"private, max-age={max(min(found.seconds, LINK) - SPARE, 0)}"}
        return RedirectResponse(link, status_code=302, headers=headers)
    stored = await _stat(found)
    headers = {**_caching(found, found.etag), "accept-ranges": "bytes", "content-type": found.media}
    if stored.size != found.size:  # replaced since the sync: what the etag says is not true of it
        headers |= {"cache-control": "no-store", "etag": ""}
    if headers["etag"] and _has_it(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    start, end = _range(request, stored.size, headers["etag"])
    status = 206 if end - start < stored.size else 200
    headers["content-length"] = str(end - start)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{stored.size}"
    if request.method == "HEAD" or end == start:
        return Response(status_code=status, headers=headers)
    return StreamingResponse(await _begun(found, start, end - start), status_code=status, headers=headers)


async def _link(request: Request, found: Found) -> str | None:
    """Where the browser gets the image from the store itself. A link is for GET alone, and outlives no URL of ours."""
    if request.method != "GET":
        return None
    try:
        return await found.store.download_url(found.path, media=found.media, seconds=max(min(found.seconds, LINK), 1))
    except StorageError:
        raise NoImage(503) from None


async def _begun(found: Found, start: int, length: int) -> AsyncIterator[bytes]:
    """The content, once its first piece is here: a failure before that can still have a status of its own."""
    pieces = aiter(found.store.stream(found.path, start=start, length=length))
    try:
        first = await anext(pieces, b"")
    except ObjectMissing:
        raise NoImage(404) from None

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return whole()


async def _stat(found: Found) -> StoredObject:
    try:
        stored = await found.store.stat(found.path)
    except StorageError:
        raise NoImage(503) from None
    if stored is None:
        raise NoImage(404)
    return stored


def _range(request: Request, size: int, etag: str) -> tuple[int, int]:
    """The bytes asked for, [start, end). One range; several, or a nonsensical one, mean the whole."""
    given = RANGE.fullmatch(request.headers.get("range", ""))
    if given is None or request.headers.get("if-range", etag) != etag or given.group(0) == "bytes=-":
        return 0, size
    first, last = given.groups()
    start, end = (int(first), int(last or size - 1) + 1) if first else (max(size - int(last), 0), size)
    if start >= size or end <= start:
        raise NoImage(416)
    return start, min(end, size)


# -- thumbnails -------------------------------------------------------------------------------------------------------


async def _respond_with_thumbnail(request: Request, found: Found, size: int) -> Response:
    headers = _caching(found, f"{found.etag}-{size}")
    if _has_it(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    if found.size > runtime(request.scope).settings.limits.image_file:
        raise NoImage(413)
    try:
        content = f"{found.source_id}:{found.etag}"  # without ETags that is size and time, which two images may share
        made = await runtime(request.scope).thumbnails.get(found.store, found.path, content, size)
    except ObjectMissing:
        raise NoImage(404) from None
    except StorageError:
        raise NoImage(503) from None
    except DomainError:
        raise NoImage(422) from None
    return Response(made.data, headers={**headers, "content-type": made.media})


# -- both -------------------------------------------------------------------------------------------------------------


def _caching(found: Found, tag: str) -> dict[str, str]:
    """A source's content never changes under its id, so browsers may keep it as long as the URL holds."""
    quoted = '"' + re.sub(r"[^\x21\x23-\x7e]", "", tag) + '"'
    return {**SAFE, "etag": quoted, "cache-control": f"private, max-age={max(found.seconds, 0)}, immutable"}


def _has_it(request: Request, etag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return etag in (part.strip().removeprefix("W/") for part in given.split(","))


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise NoImage(404)
    return int(text)
