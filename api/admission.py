"""Which requests come in: those that name this server in their Host header, and so many at once of each client."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections import network_of
from api.settings import Settings
from api.shares import Shares, ShareTaken
from schema.errors import BAD_REQUEST, RATE_LIMITED

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MONITORED: Final = ("/healthz", "/readyz")  # asked by monitors under any name; their answers hold no URL
SHOWN: Final = 100  # characters of a name that is refused


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names under which clients may reach this server. URLs in answers begin with the name that the request gives,
    and a page whose own name was made to lead here (DNS rebinding) gives that one. None: any, since URLs begin with
    the public URL."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        if settings.public_url is not None or "*" in settings.hosts:
            return cls(None)
        machine = socket.gethostname().lower()
        own = {machine, machine.partition(".")[0], f"{machine.partition('.')[0]}.local", settings.host.lower()}
        return cls(LOOPBACK | own | {_name(host) for host in settings.hosts})

    def unknown(self, scope: Scope) -> str | None:
        """The name in the request that is none of ours. The address that was connected to always is."""
        given = Headers(scope=scope).getlist("host")
        if self.names is None or not given:
            return None
        names = {_name(host) for host in given}
        local = str((scope.get("server") or ("",))[0])
        strange = names - self.names - {local}
        return next(iter(strange), None if len(given) == 1 else ", ".join(given))


def _name(host: str) -> str:
    """Without the port, an IPv6 address without its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


class Admission:
    """The outermost ASGI application. A client is an address, behind a proxy the one that it forwards."""

    def __init__(self, app: ASGIApp, hosts: Hosts, shares: Shares, proxies: str) -> None:
        self.app, self.hosts, self.shares = app, hosts, shares
        self._trusted = _TrustedHosts(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        name = None if scope["path"] in MONITORED else self.hosts.unknown(scope)
        if name is not None:
            await _refuse(scope, send, 400, BAD_REQUEST, _not_ours(name))
            return
        client = (scope.get("client") or ("",))[0]
        with ExitStack() as held:
            if client not in self._trusted:
                try:
                    held.enter_context(self.shares.take(network_of(client)))
                except ShareTaken:
                    message = f"This address has {self.shares.most} requests in hand already: wait for one of them."
                    await _refuse(scope, send, 429, RATE_LIMITED, message)
                    return
            await self.app(scope, receive, send)


def _not_ours(name: str) -> str:
    shown = "".join(letter for letter in name[:SHOWN] if letter.isprintable())
    return (
        f"This server is not known as `{shown}`. Its owner lists the names by which clients reach it in "
        "LABELGRAPH_HOSTS, or sets LABELGRAPH_PUBLIC_URL."
    )


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
