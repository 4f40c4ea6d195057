"""How many requests of one token, or of one address, run at once; more are refused."""

from collections import Counter
from collections.abc import Hashable
from contextlib import nullcontext
from dataclasses import dataclass, field

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections.open_connections import network_of
from api.kept_results import kept
from schema.errors import RATE_LIMITED, Refused, refusal


@dataclass(slots=True)
class KeyedLimit:
    """At most `limit` at once for each key. `message` says so to the client that is refused."""

    limit: int
    message: str
    _counts: Counter[Hashable] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self._counts.total()

    def acquire(self, key: Hashable) -> "Acquired":
        """One more for the key, for as long as a block lasts, which raises Refused (RATE_LIMITED)."""
        return Acquired(self, key)

    def add(self, key: Hashable) -> None:
        if self._counts[key] >= self.limit:
            raise refusal(self.message.format(limit=self.limit), RATE_LIMITED, most=self.limit)
        self._counts[key] += 1

    def remove(self, key: Hashable) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


@dataclass(slots=True)
class Acquired:
    limit: KeyedLimit
    key: Hashable

    def __enter__(self) -> None:
        self.limit.add(self.key)

    def __exit__(self, *_: object) -> None:
        self.limit.remove(self.key)


class AddressLimit:
    """Around the application, within CORS: a page can read a refusal. Behind a proxy the address is the one that it
    forwards."""

    def __init__(self, app: ASGIApp, limit: int, proxies: str) -> None:
        self.app = app
        self._limit = KeyedLimit(limit, "This address has {limit} requests running already: wait for one to end.")
        self._is_proxy = kept(4_096)(_TrustedHosts(proxies).__contains__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        try:
            with nullcontext() if self._is_proxy(client) else self._limit.acquire(network_of(client)):
                await self.app(scope, receive, send)
        except Refused as refused:  # the application answers its own refusals
            body = orjson.dumps({"errors": [{"message": str(refused), "extensions": {"code": RATE_LIMITED}}]})
            headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "retry-after": "1"}
            response = Response(body, 429, headers, "application/json; charset=utf-8")
            await response(scope, receive, send)  # before a WebSocket is one, it is refused as any other request
