"""Images and thumbnails of signed URLs (`db/identity/urls.py`): for `<img>` tags, which send no token.

What is served is an image or nothing: its media type comes from the format that was decoded at the sync, never from
the file or its name, and `nosniff` keeps browsers from thinking otherwise.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.runtime import runtime
from db.datasets.images import StoredImage, find_image
from db.errors import DomainError, StorageError
from db.formats.images import MEDIA_TYPES
from db.storage import ObjectMissing, Store
from schema.errors import log_defect

MIN_SIZE, MAX_SIZE = 16, 1024  # longest side of a thumbnail, in pixels
LINK_SECONDS, LINK_MARGIN = 300, 30  # how long a link of the store is valid, and the last part in which none is cached
PNG: Final = b"\x89PNG"
NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
SUFFIX: Final = re.compile(r"\.(jpg|png|bmp)$")
RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",  # image URLs are meant for pages of other origins
    "referrer-policy": "no-referrer",
}


Respond = Callable[[Request, StoredImage, Store, int], Awaitable[Response]]


async def get_image(request: Request) -> Response:
    """The endpoint of /images/{source}."""
    return await _answer(request, f"/images/{request.path_params['source']}", _image)


async def get_thumbnail(request: Request) -> Response:
    """The endpoint of /thumbnails/{source}/{size}."""
    source, size = request.path_params["source"], request.path_params["size"]
    return await _answer(request, f"/thumbnails/{source}/{size}", _thumbnail)


async def _answer(request: Request, path: str, respond: Respond) -> Response:
    try:
        return await respond(request, *await _find(request, path))
    except HTTPException as error:  # answered with a bare status: an `<img>` tag shows nothing else
        status = error.status_code
    except ObjectMissing:
        status = 404
    except DomainError:
        status = 503
    except Exception as error:
        log_defect(error)
        status = 500
    retry = {"retry-after": "2"} if status == 503 else {}
    return Response(status_code=status, headers={**SAFE, **retry, "cache-control": "no-store"})


async def _find(request: Request, path: str) -> tuple[StoredImage, Store, int]:
    """An image that the bearer of the URL may see, where it is, and for how many seconds the URL is still valid. Raises
    HTTPException: 403 when the URL is not valid (any more), 404 when there is nothing to see."""
    process, query = runtime(request.scope), request.query_params
    token_id, expiry, now = _number(query.get("i", "")), _number(query.get("e", "")), time.time()
    if not process.signer.is_valid(path, token_id, expiry, query.get("s", ""), now):
        raise HTTPException(403)
    identity = await process.authenticator.identify_id(token_id)
    if identity is None:
        raise HTTPException(403)
    found = await find_image(process.database, _number(SUFFIX.sub("", request.path_params["source"])))
    if found is None or not identity.sees(found.dataset_id):
        raise HTTPException(404)
    try:
        store = process.stores.open(found.input_path)
    except DomainError:
        raise HTTPException(404) from None
    return found, store, int(expiry - now)


async def _image(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    media = MEDIA_TYPES[image.format]
    if request.method == "GET":  # a link is for GET alone, and is valid no longer than our URL
        valid = min(seconds, LINK_SECONDS)
        link = await store.download_url(image.path, media=media, seconds=max(valid, 1))
        if link is not None:
            caching = {"cache-control": f"private, max-age={max(valid - LINK_MARGIN, 0)}"}
            return RedirectResponse(link, status_code=302, headers={**SAFE, **caching})
    stored = await store.stat(image.path)
    if stored is None:
        raise HTTPException(404)
    headers = {**_caching(image.etag, seconds), "accept-ranges": "bytes", "content-type": media}
    if stored.size != image.size:  # replaced since the sync: what the etag says is not true of it
        headers |= {"cache-control": "no-store", "etag": ""}
    if headers["etag"] and _is_cached(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    start, end = _range(request, stored.size, headers["etag"])
    status = 206 if end - start < stored.size else 200
    headers["content-length"] = str(end - start)
    if status == 206:
        headers["content-range"] = f"bytes {start}-{end - 1}/{stored.size}"
    if request.method == "HEAD" or end == start:
        return Response(status_code=status, headers=headers)
    content = await _stream(store, image.path, start, end - start)
    return StreamingResponse(content, status_code=status, headers=headers)


async def _stream(store: Store, path: str, start: int, length: int) -> AsyncIterator[bytes]:
    """The content, once its first chunk has come: a failure before that can still have a status of its own."""
    chunks = aiter(store.stream(path, start=start, length=length))
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_chunks()


def _range(request: Request, size: int, etag: str) -> tuple[int, int]:
    """The requested bytes, [start, end). One range; several, or a nonsensical one, mean the whole."""
    match = RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", etag) != etag or match.group(0) == "bytes=-":
        return 0, size
    first, last = match.groups()
    start, end = (int(first), int(last or size - 1) + 1) if first else (max(size - int(last), 0), size)
    if start >= size or end <= start:
        raise HTTPException(416)
    return start, min(end, size)


async def _thumbnail(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    size = min(max(_number(SUFFIX.sub("", request.path_params["size"])), MIN_SIZE), MAX_SIZE)
    headers = _caching(f"{image.etag}-{size}", seconds)
    if _is_cached(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    process = runtime(request.scope)
    if image.size > process.settings.limits.image_file:
        raise HTTPException(413)
    content = f"{image.id}:{image.etag}"  # without ETags that is size and time, which two images may share
    try:
        data = await process.thumbnails.get(store, image.path, content, size)
    except StorageError:
        raise
    except DomainError:
        raise HTTPException(422) from None
    media = MEDIA_TYPES["PNG" if data.startswith(PNG) else "JPEG"]
    return Response(data, headers={**headers, "content-type": media})


def _caching(tag: str, seconds: int) -> dict[str, str]:
    """A source's content never changes under its id, so browsers may keep it as long as the URL is valid."""
    quoted = '"' + re.sub(r"[^\x21\x23-\x7e]", "", tag) + '"'
    return {**SAFE, "etag": quoted, "cache-control": f"private, max-age={max(seconds, 0)}, immutable"}


def _is_cached(request: Request, etag: str) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return etag in (tag.strip().removeprefix("W/") for tag in tags)


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise HTTPException(404)
    return int(text)
