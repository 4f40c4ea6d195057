"""The page where people label, at /ui/: what `examples/web` builds. Signed in through the URL's fragment.

Only what is in `built` is ever sent, by name from a fixed list: no path of a request reaches the file system.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.compression import TextResponse, smallest
from api.runtime import runtime
from api.settings import Settings

BUILT = Path(__file__).parent / "built"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SAFE = {"x-content-type-options": "nosniff"}
FOR_GOOD = {**SAFE, "cache-control": "public, max-age=31536000, immutable"}  # its name has the hash of its content


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media: str


@cache
def assets() -> Mapping[str, Asset]:
    """Read once, half a megabyte."""
    return {
        path.name: Asset(path.read_bytes(), f"{TYPES[path.suffix]}; charset=utf-8")
        for path in (BUILT / "assets").iterdir()
    }


@cache
def index() -> tuple[bytes, str]:
    """The page itself, the same for everybody and without any secret; and its ETag."""
    body = (BUILT / "index.html").read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'


async def page(request: Request) -> Response:
    body, etag = index()
    policy = _policy(runtime(request.scope).settings)
    headers = {
        **SAFE,
        "cache-control": "no-cache",
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "etag": etag,
        "referrer-policy": "no-referrer",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return TextResponse(body, media_type="text/html; charset=utf-8", headers=headers)


async def asset(request: Request) -> Response:
    """The endpoint of /ui/assets/{name}."""
    found = assets().get(request.path_params["name"])
    if found is None:
        return Response("Not found", status_code=404, headers=SAFE)
    body, encoding = await smallest(request, found.body)
    return Response(body, media_type=found.media, headers={**FOR_GOOD, **encoding})


async def without_slash(_: Request) -> Response:
    """What the page names is relative to /ui/. A browser keeps the fragment with the token."""
    return RedirectResponse("ui/")


def _policy(settings: Settings) -> str:
    storage = " ".join(image_origins(settings))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' blob: {storage}".rstrip(),  # `blob:` shows files before they are uploaded
            f"connect-src 'self' {storage}".rstrip(),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def image_origins(settings: Settings) -> Iterator[str]:
    """The origins of image URLs, and of URLs that files are put to, other than the page's own."""
    if settings.public_url:
        scheme, host = urlsplit(str(settings.public_url))[:2]
        yield f"{scheme}://{host}"
    if not (settings.s3.is_configured and settings.s3.links):
        return
    if endpoint := settings.s3.public_endpoint or settings.s3.endpoint:
        scheme, host = urlsplit(str(endpoint))[:2]
        yield f"{scheme}://{host}"
        yield f"{scheme}://*.{host}"  # a bucket can be a host of its own
    else:
        yield "https://*.amazonaws.com"
        yield "https://*.amazonaws.com.cn"
