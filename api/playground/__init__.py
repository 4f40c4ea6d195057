"""GraphiQL, served by ourselves, so that it works without the internet; signed in through the URL's fragment.

Only what is in this folder is ever sent, by name from a fixed list: no path of a request reaches the file system.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.compression import smallest
from api.runtime import runtime
from api.settings import Settings
from api.web import image_origins

CHUNK = 64 * 1024  # bytes
HERE = Path(__file__).parent
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".html": "text/html"}
VARIABLES: Final = {"datasetId": "Dataset:1", "changeId": "Change:1", "versionId": "Version:1"}  # of the examples


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Read once, four megabytes."""
    files = [HERE / "index.html", HERE / "page.js", HERE / "page.css", *(HERE / "vendor").glob("*.min.*")]
    tabs = [{"query": document, "variables": _variables(document)} for document in examples()]
    bodies = {path.name: path.read_bytes() for path in files} | {"examples.json": orjson.dumps(tabs)}
    return {
        name: Asset(body, TYPES[Path(name).suffix], f'W/"{hashlib.sha256(body).hexdigest()[:16]}"')
        for name, body in bodies.items()
    }


def examples() -> Iterator[str]:
    """The documents of the example tabs, in order."""
    return (path.read_text("utf-8") for path in sorted((HERE / "examples").glob("*.graphql")))


def _variables(document: str) -> str:
    """As they stand below an example; empty where it has none."""
    used = {name: value for name, value in VARIABLES.items() if f"${name}:" in document}
    return orjson.dumps(used, option=orjson.OPT_INDENT_2).decode() if used else ""


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """The page itself: the same for everybody, and without any secret."""
    policy = _policy(runtime(scope).settings)
    headers = {"content-security-policy": policy, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
    response = await _response(Request(scope), assets()["index.html"], headers)
    await response(scope, receive, send)


def _policy(settings: Settings) -> str:
    images = " ".join(("'self' data: blob: https:", *image_origins(settings)))  # shown over their URLs in an answer
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # the editor positions its widgets by inline styles
            f"img-src {images}",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


async def asset(request: Request) -> Response:
    """The endpoint of /playground/{name}."""
    found = assets().get(request.path_params["name"])
    if found is None:
        return Response("Not found", status_code=404, headers={"x-content-type-options": "nosniff"})
    headers = {"cache-control": "no-cache", "etag": found.etag}  # asked for again: files of two versions do not fit
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return await _response(request, found, headers)


async def _response(request: Request, asset: Asset, headers: Mapping[str, str]) -> Response:
    body, encoding = await smallest(request, asset.body)
    more = {"content-length": str(len(body)), "x-content-type-options": "nosniff"}
    return StreamingResponse(
        _chunks(body), media_type=f"{asset.media}; charset=utf-8", headers={**headers, **more, **encoding}
    )


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    """Written at once, megabytes would block everybody else."""
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]
        await asyncio.sleep(0)
