"""The open connections of a process: how many there may be, of all addresses and of one."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.kept_results import kept
from api.limits.rates import Allowances

FRAMES: Final = 1_000  # WebSocket frames a second that an address may send over all its connections
FRAMES_BURST: Final = 2_000  # frames that it may send at once


@dataclass(slots=True)
class OpenConnections:
    """The open connections by address: a full address makes room by closing its longest idle one, or is refused."""

    limit: int
    address_limit: int
    proxies: _TrustedHosts
    refused: int = 0  # connections that are being sent a refusal
    _open: Counter[str] = field(default_factory=Counter)
    _idle: dict[str, dict[Callable[[], None], None]] = field(default_factory=dict)  # what closes each, oldest first
    _frames: Allowances = field(default_factory=lambda: Allowances(FRAMES, FRAMES_BURST))

    def add(self, address: str) -> HTTPStatus | None:
        """Count a connection; or the status with which it is to be refused."""
        if self._frames.left(address) < 0:
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._open[address] >= self.address_limit and address not in self.proxies and not self._close_idle(address):
            return HTTPStatus.TOO_MANY_REQUESTS
        if self._open.total() >= self.limit:
            largest = max(self._idle, key=lambda each: self._open[each], default="")  # of those with an idle one
            if not self._close_idle(largest):
                return HTTPStatus.SERVICE_UNAVAILABLE
        self.count(address)
        return None

    def count(self, address: str) -> None:
        """Count a connection that replaces another, which is not refused now."""
        self._open[address] += 1

    def remove(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def spend_frames(self, address: str, frames: int) -> bool:
        """Count WebSocket frames of an address: a client that is stopped for flooding and connects again would
        otherwise have a new allowance each time. While the address is overdrawn it gets no new connections; once it is
        overdrawn by a whole burst (false) it also loses those that go on sending. A proxy has no allowance, since
        others connect through it."""
        return address in self.proxies or self._frames.spend(address, frames) > -FRAMES_BURST

    def note_refusal(self, seconds: float) -> None:
        """Count a refusal that is being sent for so long."""
        self.refused += 1

        def end() -> None:
            self.refused -= 1

        asyncio.get_running_loop().call_later(seconds, end)

    def mark_idle(self, address: str, close: Callable[[], None]) -> None:
        """A connection waits for its next request, and may be closed."""
        self._idle.setdefault(address, {})[close] = None

    def mark_active(self, address: str, close: Callable[[], None]) -> None:
        idle = self._idle.get(address, {})
        idle.pop(close, None)
        if not idle:
            self._idle.pop(address, None)

    def _close_idle(self, address: str) -> bool:
        close = next(iter(self._idle.get(address, ())), None)
        if close is not None:
            close()
        return close is not None


@kept(4_096)
def network_of(host: str) -> str:
    """An address as limits count it: of IPv6 the network, since a customer is given one as a whole."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)
