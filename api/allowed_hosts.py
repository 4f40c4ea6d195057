"""The host names under which clients may reach this server: only these appear in URLs of its answers."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from starlette.types import Scope

from api.settings import Settings
from schema.errors import BAD_REQUEST, refusal

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# As in RFC 3986; a name of DNS has up to 253 characters, and may end with a dot.
HOST: Final = re.compile(r"(?:\[(?P<address>[^\[\]]{1,253})\]|(?P<name>[^\[\]:/?#@\s]{0,254}))(?::[0-9]{0,5})?")
MAX_SHOWN: Final = 100  # characters of a name that is refused


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """URLs in answers begin with the name in a request's Host header, and a web page whose own name was made to lead
    here (DNS rebinding) sends that one. `names` None: any name."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        if settings.public_url is not None or "*" in settings.hosts:
            return cls(None)
        machine = socket.gethostname().lower()
        own = {machine, machine.partition(".")[0], f"{machine.partition('.')[0]}.local", settings.host.lower()}
        return cls(LOOPBACK | own | {_name(host) for host in settings.hosts})

    def check(self, scope: Scope) -> None:
        """The address to which the client connected is always allowed, and so is no header. Raises Refused."""
        hosts = tuple([value for name, value in scope["headers"] if name == b"host"])
        _check(hosts, self.names, str((scope.get("server") or ("",))[0]))

    def base_url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """The URL under which this client reached us. Raises Refused where that is none of our names."""
        self.check(scope)
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        host = headers.get("host")
        if not host:
            name, port = scope.get("server") or ("127.0.0.1", None)
            host = f"{name}:{port}" if port else str(name)
        return f"{scheme}://{host}{scope.get('root_path', '')}"


@lru_cache(maxsize=256)
def _check(values: tuple[bytes, ...], names: frozenset[str] | None, connected: str) -> None:
    """Raises Refused where these Host headers are not one host, or it is none of the names, nor the address. What is
    more than a host and a port may be anything in a URL."""
    hosts = [value.decode("latin-1") for value in values]
    if len(hosts) > 1 or not all(map(HOST.fullmatch, hosts)):
        raise refusal("The Host header must be one name or address, and may have a port.", BAD_REQUEST)
    if not hosts or names is None or (name := _name(hosts[0])) in names or name == connected:
        return
    shown = "".join(letter for letter in name[:MAX_SHOWN] if letter.isprintable())
    raise refusal(
        f"This server is not known as `{shown}`. Its owner lists the names by which clients reach it in "
        "LABELGRAPH_HOSTS, or sets LABELGRAPH_PUBLIC_URL.",
        BAD_REQUEST,
    )


def _name(host: str) -> str:
    """In lower case without the port, an IPv6 address without its brackets."""
    found = HOST.fullmatch(host.lower())
    return found["address"] or found["name"].removesuffix(".") if found else host
