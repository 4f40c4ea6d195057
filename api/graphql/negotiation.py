"""Which media type answers a request, from its Accept header (RFC 9110, and GraphQL over HTTP)."""

from dataclasses import dataclass
from functools import lru_cache

JSON = "application/json"
RESPONSE = "application/graphql-response+json"
EVENTS = "text/event-stream"
PAGE = "text/html"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`json` is the media type for a single answer, None when the client takes none; `page` when it is a browser."""

    json: str | None
    events: bool
    page: bool


@lru_cache(maxsize=256)
def accepted(header: str) -> Accepted:
    """No header, and `*/*`, mean application/json: clients that do not say get what has always been sent."""
    ranges = _ranges(header) if header.strip() else {"*/*": 1.0}
    quality = {kind: _quality(kind, ranges) for kind in (RESPONSE, JSON, EVENTS, PAGE)}
    best = max((quality[kind] for kind in (RESPONSE, JSON) if kind in ranges), default=0.0)
    page = PAGE in ranges and quality[PAGE] > best
    return Accepted(json=_json(ranges, quality), events=quality[EVENTS] > 0, page=page)


def _json(ranges: dict[str, float], quality: dict[str, float]) -> str | None:
    """The newer type only to those who name it, or want nothing else."""
    if not quality[JSON] and not quality[RESPONSE]:
        return None
    if quality[RESPONSE] > quality[JSON] or (RESPONSE in ranges and quality[RESPONSE] == quality[JSON]):
        return RESPONSE
    return JSON


def _ranges(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in header.split(",")[:32]:
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found[kind] = max(found.get(kind, 0.0), _q(parameters))
    return found


def _q(parameters: list[str]) -> float:
    texts = [parameter[2:].strip() for parameter in parameters if parameter.startswith("q=")]
    try:
        return float(texts[0]) if texts else 1.0
    except ValueError:
        return 0.0


def _quality(kind: str, ranges: dict[str, float]) -> float:
    """The most specific range decides."""
    family = kind.partition("/")[0] + "/*"
    return next((ranges[name] for name in (kind, family, "*/*") if name in ranges), 0.0)
