"""The names under which clients may reach this server: those that may stand in URLs of its answers."""

import socket
from dataclasses import dataclass
from typing import Final, Self

from starlette.datastructures import Headers
from starlette.types import Scope

from api.settings import Settings
from schema.errors import BAD_REQUEST, Refused, refusal

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SHOWN: Final = 100  # characters of a name that is refused


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """URLs in answers begin with the name in a request's Host header, and a web page whose own name was made to lead
    here (DNS rebinding) sends that one. `names` None: any, since URLs begin with the public URL."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        if settings.public_url is not None or "*" in settings.hosts:
            return cls(None)
        machine = socket.gethostname().lower()
        own = {machine, machine.partition(".")[0], f"{machine.partition('.')[0]}.local", settings.host.lower()}
        return cls(LOOPBACK | own | {_name(host) for host in settings.hosts})

    def check(self, scope: Scope) -> None:
        """Raises Refused."""
        name = self._unknown(scope)
        if name is not None:
            raise _not_ours(name)

    def _unknown(self, scope: Scope) -> str | None:
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


def _not_ours(name: str) -> Refused:
    shown = "".join(letter for letter in name[:SHOWN] if letter.isprintable())
    return refusal(
        f"This server is not known as `{shown}`. Its owner lists the names by which clients reach it in "
        "LABELGRAPH_HOSTS, or sets LABELGRAPH_PUBLIC_URL.",
        BAD_REQUEST,
    )
