"""GraphiQL, served by ourselves, so that it works without the internet; signed in through the URL's fragment.

Only what is in this folder is ever sent, by name from a fixed list: no path of a request reaches the file system.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

CHUNK = 64 * 1024  # bytes
HERE = Path(__file__).parent
TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".html": "text/html"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the editor positions its widgets by inline styles
        "img-src 'self' data: blob: https:",  # a result's image URLs, shown on hover
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
VARIABLES = '{\n  "datasetId": "Dataset:1"\n}'


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Read once, four megabytes."""
    files = [HERE / "index.html", HERE / "page.js", HERE / "page.css", *(HERE / "vendor").glob("*.min.*")]
    tabs = [{"query": document, "variables": VARIABLES if "$datasetId" in document else ""} for document in examples()]
    bodies = {path.name: path.read_bytes() for path in files} | {"examples.json": orjson.dumps(tabs)}
    return {
        name: Asset(body, TYPES[Path(name).suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"')
        for name, body in bodies.items()
    }


def examples() -> Iterator[str]:
    """The documents of the example tabs, in order."""
    return (path.read_text("utf-8") for path in sorted((HERE / "examples").glob("*.graphql")))


def page() -> Response:
    """The page itself: the same for everybody, and without any secret."""
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
    return _response(assets()["index.html"], headers)


async def asset(request: Request) -> Response:
    """The endpoint of /playground/{name}."""
    found = assets().get(request.path_params["name"])
    if found is None:
        return Response("Not found", status_code=404, headers={"x-content-type-options": "nosniff"})
    headers = {"cache-control": "public, max-age=3600", "etag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return _response(found, headers)


def _response(asset: Asset, headers: Mapping[str, str]) -> Response:
    more = {"content-length": str(len(asset.body)), "x-content-type-options": "nosniff"}
    return StreamingResponse(
        _chunks(asset.body), media_type=f"{asset.media}; charset=utf-8", headers={**headers, **more}
    )


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    """Written at once, four megabytes would block everybody else."""
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]
        await asyncio.sleep(0)
