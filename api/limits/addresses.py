"""Which requests come in: so many at once of each client."""

from contextlib import ExitStack

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections import network_of
from api.limits.keyed import KeyedLimit, LimitReached
from schema.errors import RATE_LIMITED


class AddressLimit:
    """The outermost ASGI application. A client is an address, behind a proxy the one that it forwards."""

    def __init__(self, app: ASGIApp, shares: KeyedLimit, proxies: str) -> None:
        self.app, self.shares = app, shares
        self._trusted = _TrustedHosts(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        with ExitStack() as held:
            if client not in self._trusted:
                try:
                    held.enter_context(self.shares.take(network_of(client)))
                except LimitReached:
                    message = f"This address has {self.shares.most} requests in hand already: wait for one of them."
                    await _refuse(scope, send, 429, RATE_LIMITED, message)
                    return
            await self.app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, status: int, code: str, message: str) -> None:
    """Before a WebSocket is one, it is refused as any other request."""
    body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
