"""The open connections of a process: how many there may be, of all addresses and of one."""

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections.allowance import Allowance

FRAMES: Final = 1_000  # WebSocket frames a second that an address may send over all its connections
FRAMES_BURST: Final = 2_000  # frames that it may send at once
REMEMBERED: Final = 1_000  # addresses


class Connection(Protocol):
    address: str

    def give_way(self) -> None:
        """Close, while no request is in hand, so that another connection has room."""


@dataclass(slots=True)
class OpenConnections:
    """The open connections by address: a full address makes room by closing its longest idle one, or is refused."""

    most: int
    each: int
    proxies: _TrustedHosts
    refused: int = 0  # connections that are being sent a refusal
    _total: int = 0
    _open: Counter[str] = field(default_factory=Counter)
    _idle: dict[str, dict[Connection, None]] = field(default_factory=dict)  # the longest idle first
    _frames: dict[str, Allowance] = field(default_factory=dict)

    def enter(self, address: str) -> HTTPStatus | None:
        """Count a connection in; or the status with which it is to be refused."""
        if address in self._frames and self._frames[address].spend() < 0:
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._open[address] >= self.each and address not in self.proxies and not self._close_idle(address):
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._total >= self.most and not self._close_idle(self._most_idle()):
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._open[address] += 1
        self._total += 1
        return None

    def leave(self, address: str) -> None:
        self._total -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def spend_frames(self, address: str, frames: int) -> bool:
        """Count WebSocket frames of an address: a client that is stopped for flooding and connects again would
        otherwise have a new allowance each time. While the address is overdrawn it gets no new connections; once it is
        overdrawn by a whole burst (false) it also loses those that go on sending. A proxy has no allowance, since
        others connect through it."""
        if address in self.proxies:
            return True
        if address not in self._frames:
            if len(self._frames) >= REMEMBERED:
                self._frames = {each: known for each, known in self._frames.items() if known.spend() < known.burst}
            self._frames[address] = Allowance(FRAMES, FRAMES_BURST)
        return self._frames[address].spend(frames) > -FRAMES_BURST

    def rest(self, connection: Connection) -> None:
        """It waits for its next request."""
        self._idle.setdefault(connection.address, {})[connection] = None

    def wake(self, connection: Connection) -> None:
        idle = self._idle.get(connection.address, {})
        idle.pop(connection, None)
        if not idle:
            self._idle.pop(connection.address, None)

    def _most_idle(self) -> str:
        """The address with the most connections, of those that have an idle one."""
        return max(self._idle, key=lambda address: self._open[address], default="")

    def _close_idle(self, address: str) -> bool:
        longest = next(iter(self._idle.get(address, ())), None)
        if longest is not None:
            longest.give_way()
        return longest is not None


def network_of(host: str) -> str:
    """An address as shares count it: of IPv6 the network, since a customer is given one as a whole."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)
