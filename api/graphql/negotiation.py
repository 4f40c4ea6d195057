"""Which media type answers a request, from its Accept header (RFC 9110, and GraphQL over HTTP)."""

from dataclasses import dataclass

from api.kept_results import kept

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


@kept(256)
def accepted(header: str) -> Accepted:
    """No header, and `*/*`, mean application/json: clients that do not say get what has always been sent."""
    ranges = qualities(header) if header.strip() else {"*/*": 1.0}
    quality = {kind: _quality(kind, ranges) for kind in (RESPONSE, JSON, EVENTS, PAGE)}
    best = max((quality[kind] for kind in (RESPONSE, JSON) if kind in ranges), default=0.0)
    if not quality[JSON] and not quality[RESPONSE]:
        json = None
    elif quality[RESPONSE] > quality[JSON] or (RESPONSE in ranges and quality[RESPONSE] == quality[JSON]):
        json = RESPONSE  # only to those who name it, or take nothing else
    else:
        json = JSON
    return Accepted(json=json, events=quality[EVENTS] > 0, page=PAGE in ranges and quality[PAGE] > best)


def qualities(header: str) -> dict[str, float]:
    """The quality of each item of an Accept header; 0 where it is no number."""
    ranges: dict[str, float] = {}
    for part in header.split(",")[:32]:
        kind, *parameters = (text.strip().lower() for text in part.split(";"))
        texts = [parameter[2:].strip() for parameter in parameters if parameter.startswith("q=")]
        try:
            quality = float(texts[0]) if texts else 1.0
        except ValueError:
            quality = 0.0
        ranges[kind] = max(ranges.get(kind, 0.0), quality)
    return ranges


def _quality(kind: str, ranges: dict[str, float]) -> float:
    """The most specific range decides."""
    family = kind.partition("/")[0] + "/*"
    return next((ranges[name] for name in (kind, family, "*/*") if name in ranges), 0.0)
