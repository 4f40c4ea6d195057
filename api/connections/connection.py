"""What connections of both protocols have in common, and the deadline for clients that do not read."""

import asyncio
import fcntl
import os
import socket
import struct
import termios
from abc import abstractmethod
from array import array
from typing import Any, Final

from api.connections.open_connections import OpenConnections, network_of

CHECKS: Final = 4  # looks at a connection's progress in the time that it may make none
SLOWEST: Final = 1024  # bytes a second that a client reads, at least


class WriteTimeout:
    """Aborts a connection whose client has not read what waits for it: `seconds` without `SLOWEST` bytes a second."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self.transport, self.seconds = transport, seconds
        self.loop = asyncio.get_running_loop()
        self.since, self.waiting, self.delivered = self.loop.time(), 0, 0
        self.timer = self.loop.call_later(seconds / CHECKS, self._check)

    def stop(self) -> None:
        self.timer.cancel()

    def _check(self) -> None:
        now, (waiting, delivered) = self.loop.time(), self._state()
        if delivered - self.delivered >= min(self.waiting, SLOWEST * self.seconds) or not waiting:
            self.since, self.waiting, self.delivered = now, waiting, delivered
        elif now - self.since >= self.seconds:
            self.transport.abort()
            return
        self.timer = self.loop.call_later(self.seconds / CHECKS, self._check)

    def _state(self) -> tuple[int, int]:
        """Bytes that wait to be read, here and in the system's buffer, and bytes that the client's system has taken."""
        buffered = self.transport.get_write_buffer_size()
        descriptor = self.transport.get_extra_info("socket").fileno()
        try:
            queued = array("i", [0])
            fcntl.ioctl(descriptor, termios.TIOCOUTQ, queued)
            if not buffered + queued[0]:
                return 0, self.delivered
            with socket.socket(fileno=os.dup(descriptor)) as own:
                facts = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
            return buffered + queued[0], struct.unpack_from("Q", facts, 120)[0]
        except (OSError, AttributeError, struct.error):  # a system that does not report it
            return buffered, self.delivered + max(self.waiting - buffered, 0)


class LimitedConnection(asyncio.Protocol):
    """The base of both protocols, before uvicorn's."""

    open_connections: OpenConnections
    write_seconds = 20.0

    loop: asyncio.AbstractEventLoop
    client: tuple[str, int] | None
    _counted = False
    _next_parse: asyncio.Handle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._received = bytearray()
        self._write_timeout = WriteTimeout(transport, self.write_seconds)
        self.address = network_of(self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_counting()
        self._write_timeout.stop()
        super().connection_lost(exc)

    def _stop_counting(self) -> None:
        """The connection counts no more, and begins nothing."""
        self._cancel_parse()
        if self._counted:
            self._counted = False
            self.open_connections.remove(self.address)

    @abstractmethod
    def _parse(self) -> None:
        """A part of what was received."""

    def _parse_later(self) -> None:
        """In the next turn of the event loop, so that other connections get theirs; once however often it is called."""
        if self._next_parse is None:
            self._next_parse = self.loop.call_soon(self._parse)

    def _cancel_parse(self) -> None:
        if self._next_parse is not None:
            self._next_parse.cancel()
            self._next_parse = None
