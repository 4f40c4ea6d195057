"""Images, originals and thumbnails of signed URLs (`db/identity/urls.py`): for `<img>` tags, which send no token.

What is served is an image or nothing: its media type comes from the format that was decoded at the sync, never from
the file or its name, and `nosniff` keeps browsers from thinking otherwise. Of an image that browsers cannot show, a
rendition is served, made like thumbnails, and the file itself as its original.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.files.serving import (
    LINK_MARGIN,
    LINK_SECONDS,
    SAFE,
    answered,
    identify,
    is_cached,
    number,
    open_store,
    part,
    part_of,
)
from api.files.thumbnails import Thumbnails
from api.runtime import runtime
from db.datasets.images import StoredImage, find_image
from db.errors import DomainError, StorageError
from db.formats.images import MEDIA_TYPES
from db.storage import Store

MIN_SIZE, MAX_SIZE = 16, 1024  # longest side of a thumbnail, in pixels
PNG: Final = b"\x89PNG"
SUFFIX: Final = re.compile(r"\.(jpg|png|bmp|webp|tif|gif|avif)$")


Made = TypeVar("Made")
Respond = Callable[[Request, StoredImage, Store, int], Awaitable[Response]]


async def get_image(request: Request) -> Response:
    """The endpoint of /images/{source}."""
    path = f"/images/{request.path_params['source']}"
    return await answered(request, "/images/{source}", _answer(request, path, _image))


async def get_original(request: Request) -> Response:
    """The endpoint of /originals/{source}."""
    path = f"/originals/{request.path_params['source']}"
    return await answered(request, "/originals/{source}", _answer(request, path, _original))


async def get_thumbnail(request: Request) -> Response:
    """The endpoint of /thumbnails/{source}/{size}."""
    source, size = request.path_params["source"], request.path_params["size"]
    response = _answer(request, f"/thumbnails/{source}/{size}", _thumbnail)
    return await answered(request, "/thumbnails/{source}/{size}", response)


async def _answer(request: Request, path: str, respond: Respond) -> Response:
    return await respond(request, *await _find(request, path))


async def _find(request: Request, path: str) -> tuple[StoredImage, Store, int]:
    """An image that the bearer of the URL may see, where it is, and for how many seconds the URL is still valid. Raises
    HTTPException: 403 when the URL is not valid (any more), 404 when there is nothing to see."""
    process = runtime(request.scope)
    identity, seconds = await identify(request, path)
    found = await find_image(process.database, number(SUFFIX.sub("", request.path_params["source"])))
    if found is None or not identity.sees(found.dataset_id):
        raise HTTPException(404)
    return found, open_store(request, found.input_path), seconds


async def _image(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    return await (_original if image.is_shown else _rendition)(request, image, store, seconds)


async def _rendition(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    headers = _caching(f"{image.etag}-shown", seconds)
    headers |= {"accept-ranges": "bytes", "content-type": MEDIA_TYPES["JPEG"]}
    if is_cached(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        size = await _made(request, image, lambda made, name: made.rendition_size(store, image.path, name))
        return await part_of(request, partial(store.stream, image.path), size, headers)
    file = await _made(request, image, lambda thumbnails, name: thumbnails.rendition(store, image.path, name))
    disk = runtime(request.scope).thumbnails.disk
    return await part_of(request, partial(file.stream, disk), file.size, headers, file.close)


async def _original(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    media = MEDIA_TYPES[image.format]
    if request.method == "GET" and not _is_of_model(request):  # a link is for GET alone, and ends with our URL
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
    return await part(request, store, image.path, stored.size, headers)


def _is_of_model(request: Request) -> bool:
    """Whether it came to the URL by which models reach us. They need not reach the store by the URL that clients do."""
    base = runtime(request.scope).settings.model_base_url
    return base is not None and request.url.netloc.lower() == urlsplit(base).netloc.lower()


async def _thumbnail(request: Request, image: StoredImage, store: Store, seconds: int) -> Response:
    size = min(max(number(SUFFIX.sub("", request.path_params["size"])), MIN_SIZE), MAX_SIZE)
    headers = _caching(f"{image.etag}-{size}", seconds)
    if is_cached(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    data = await _made(request, image, lambda thumbnails, name: thumbnails.get(store, image.path, name, size))
    media = MEDIA_TYPES["PNG" if data.startswith(PNG) else "JPEG"]
    return Response(data, headers={**headers, "content-type": media})


async def _made(request: Request, image: StoredImage, make: Callable[[Thumbnails, str], Awaitable[Made]]) -> Made:
    """A thumbnail or a rendition, from the name of its content. Raises HTTPException: 413 for a file that is too large,
    422 for one that cannot be decoded."""
    process = runtime(request.scope)
    if image.size > process.settings.limits.image_file:
        raise HTTPException(413)
    content = f"{image.id}:{image.etag}"  # without ETags that is size and time, which two images may share
    try:
        return await make(process.thumbnails, content)
    except StorageError:
        raise
    except DomainError:
        raise HTTPException(422) from None


def _caching(tag: str, seconds: int) -> dict[str, str]:
    """A source's content never changes under its id, so browsers may keep it as long as the URL is valid."""
    quoted = '"' + re.sub(r"[^\x21\x23-\x7e]", "", tag) + '"'
    return {**SAFE, "etag": quoted, "cache-control": f"private, max-age={max(seconds, 0)}, immutable"}
