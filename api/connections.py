"""Connections: the protocols between sockets and the application, and what one connection, or one address, may take.

uvicorn's protocols parse whatever has come at once, wait for ever for a client that does not read, and have no limit
on a request's head. Ours parse a little in each turn of the event loop, so that no connection holds up the others.
"""

import asyncio
import fcntl
import ipaddress
import os
import socket
import struct
import termios
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD: Final = 64 * 1024  # bytes of a request's line and headers, and of all that comes without being part of a body
HEADERS: Final = 200  # of one request
HEAD_PIECE, BODY_PIECE, FRAMES_PIECE = 16 * 1024, 64 * 1024, 2 * 1024  # bytes that are parsed at once
PIECES: Final = 16  # that are parsed in one turn of the event loop
AHEAD: Final = 64 * 1024  # bytes of later requests that are kept while one is answered
DISCARDED: Final = 16 * 1024 * 1024  # bytes of a body that are read, and dropped, after its request was answered
REFUSED: Final = 64  # refused clients that are given that time at once; the others are cut off
LINGER: Final = 2.0  # seconds for which a refused client may go on sending: closed at once, it would lose the answer
CHECKS: Final = 4  # looks at a connection's progress in the time that it may make none
SLOWEST: Final = 1024  # bytes a second that a client reads, at least
BURST: Final = 10  # seconds' worth of frames that a WebSocket client may send at once
TOO_MANY: Final = 4429
HEAD_END: Final = b"\r\n\r\n"

# -- all connections of the process -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Peers:
    """The open connections by address: a full address makes room by closing its longest idle one, or is refused."""

    most: int
    each: int
    proxies: _TrustedHosts
    refused: int = 0  # connections that are told so just now
    _total: int = 0
    _open: Counter[str] = field(default_factory=Counter)
    _idle: dict[str, dict["HttpProtocol", None]] = field(default_factory=dict)  # the longest idle first

    def enter(self, address: str) -> HTTPStatus | None:
        """Count a connection in; or the status with which it is to be refused."""
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

    def rest(self, connection: "HttpProtocol") -> None:
        """It waits for its next request."""
        self._idle.setdefault(connection.address, {})[connection] = None

    def wake(self, connection: "HttpProtocol") -> None:
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


# -- clients that do not read -----------------------------------------------------------------------------------------


class Progress:
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
        except (OSError, AttributeError, struct.error):  # a system that does not tell
            return buffered, self.delivered + max(self.waiting - buffered, 0)


# -- HTTP -------------------------------------------------------------------------------------------------------------


class Flow(FlowControl):
    """Reading pauses for the application; when it goes on, what has come already is parsed first."""

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._resumed = resumed

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._resumed()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, one request after the other, with a limit on heads and deadlines for reading and writing."""

    peers: Peers
    header_seconds = 5.0
    write_seconds = 20.0

    url = b""
    address = ""
    _counted = False
    _clock: asyncio.TimerHandle | None = None
    _scheduled: asyncio.Handle | None = None
    _progress: Progress | None = None
    _refused = False
    _upgraded = False
    _in_head = True
    _received_whole = False  # the latest request
    _idle_bytes = 0  # since a head or a piece of a body was complete
    _body_left = 0  # bytes of a body of known length
    _discarded = 0  # bytes of bodies and of refused requests that nobody takes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._received = bytearray()
        self.flow = Flow(transport, self._schedule)
        self._progress = Progress(transport, self.write_seconds)
        self.address = network_of(self.client[0] if self.client else "")
        status = self.peers.enter(self.address)
        if status is not None:
            self._turn_away(status)
            return
        self._counted = True
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._progress is not None:
            self._progress.stop()
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close, while no request is in hand, so that another connection has room."""
        self._leave()
        self._unset_keepalive_if_required()
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discard(len(data))
            return
        self.peers.wake(self)
        self._unset_keepalive_if_required()
        self._received += data
        self._parse()

    def _parse(self) -> None:
        """A part of what has come, up to the end of one request."""
        self._unschedule()
        for _ in range(PIECES):
            if not self._received or self._must_wait or self.transport.is_closing():
                break
            self._parse_piece(self._piece())
        if self.transport.is_closing() or self._ended:
            self._received.clear()
        else:
            self._regulate()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    @property
    def _ended(self) -> bool:
        """Nothing more is read here."""
        return self._refused or self._upgraded

    @property
    def _must_wait(self) -> bool:
        return self._ended or self.flow.read_paused or (self._answering and self._received_whole)

    def _piece(self) -> bytes:
        """What is parsed at once: it ends where a request does, so that no second one begins in it."""
        if self._body_left:
            size = min(self._body_left, BODY_PIECE)
        else:
            end = self._received.find(HEAD_END, 0, HEAD_PIECE)
            size = HEAD_PIECE if end < 0 else end + len(HEAD_END)
        piece = bytes(self._received[:size])
        del self._received[:size]
        return piece

    def _parse_piece(self, piece: bytes) -> None:
        if self._clock is None and not self._answering:
            self._start_clock()
        self._idle_bytes += len(piece)
        super().data_received(piece)
        if self._upgraded:
            protocol = self.transport.get_protocol()
            assert isinstance(protocol, WebSocketProtocol)
            protocol.data_received(bytes(self._received))
        elif self._idle_bytes > HEAD and not self._refused:
            self._refuse(self._too_large())

    def _too_large(self) -> HTTPStatus:
        is_url = self._in_head and len(self.url) > HEAD // 2
        return HTTPStatus.REQUEST_URI_TOO_LONG if is_url else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def _regulate(self) -> None:
        """Read on from the socket, unless enough is here."""
        if self._received and not self._must_wait:
            self.transport.pause_reading()
            self._schedule()
        elif self.flow.read_paused or len(self._received) > AHEAD:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = self.loop.call_soon(self._parse)

    def _unschedule(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._received_whole, self._body_left = True, False, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # behind a body: no part of the request
            return
        if len(self.headers) >= HEADERS:
            raise TooManyHeadersError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_clock()
        self._in_head, self._idle_bytes, self._discarded = False, 0, 0
        self._body_left = _length_of(self.headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        self._body_left = max(self._body_left - len(body), 0)
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_clock()
        self._in_head, self._received_whole, self._idle_bytes, self._body_left = True, True, 0, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._received:
            self._schedule()
        elif self._counted and not self.transport.is_closing():
            self.peers.rest(self)

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._leave()
        if self._progress is not None:
            self._progress.stop()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take."""
        self._refuse(
            self._too_large() if self._in_head and len(self.headers or ()) >= HEADERS else HTTPStatus.BAD_REQUEST
        )

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, unless an answer is on its way, and close once the client has had time to read it."""
        self._refused = True
        self._stop_clock()
        if not self._answering or not self.cycle.response_started:
            self.transport.write(_refusal(status))
            self.transport.write_eof()
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER, self.transport.abort)

    def _turn_away(self, status: HTTPStatus) -> None:
        """There is no room for this connection, and little for telling it so."""
        if self.peers.refused >= REFUSED:
            self._refused = True
            self.transport.abort()
            return
        self.peers.refused += 1
        self.loop.call_later(LINGER, self._forget)
        self._refuse(status)

    def _forget(self) -> None:
        self.peers.refused -= 1

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > DISCARDED:
            self.transport.abort()

    def _leave(self) -> None:
        """Count it out, and stop what would begin something."""
        self._stop_clock()
        self._unschedule()
        self.peers.wake(self)
        if self._counted:
            self._counted = False
            self.peers.leave(self.address)

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(self.header_seconds, self._expire)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _expire(self) -> None:
        self._clock = None
        if not self.transport.is_closing():
            self.transport.close()


class TooManyHeadersError(Exception):
    """Raised for the parser, which gives up."""


def _refusal(status: HTTPStatus) -> bytes:
    body = f"{status.phrase}\n"
    head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def _length_of(headers: list[tuple[bytes, bytes]]) -> int:
    """Of a body; 0 where it is not known. The parser has refused what is no number."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


# -- WebSocket --------------------------------------------------------------------------------------------------------


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, one message after the other, with a limit on frames and a deadline for writing."""

    peers: Peers
    write_seconds = 20.0
    frames_per_second = 100

    address = ""
    _counted = False
    _scheduled: asyncio.Handle | None = None
    _progress: Progress | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._received = bytearray()
        self._allowance, self._allowed_at = float(BURST * self.frames_per_second), self.loop.time()
        self._progress = Progress(transport, self.write_seconds)
        self.address = network_of(self.client[0] if self.client else "")
        self._counted = self.peers.enter(self.address) is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._unschedule()
        if self._progress is not None:
            self._progress.stop()
        if self._counted:
            self._counted = False
            self.peers.leave(self.address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._parse()

    def _parse(self) -> None:
        """A few frames, once the application has taken the message before them."""
        self._unschedule()
        if self.transport.is_closing():
            self._received.clear()
            return
        if self._received and self._may_parse:
            piece = bytes(self._received[:FRAMES_PIECE])
            del self._received[:FRAMES_PIECE]
            super().data_received(piece)
            self._answer_a_bad_handshake()
        self._regulate()

    @property
    def _may_parse(self) -> bool:
        """The application has taken every message, or takes none any more."""
        return self.queue.empty() or self.close_sent

    def handle_events(self) -> None:
        self._spend(len(self.conn.events))
        super().handle_events()

    def _spend(self, frames: int) -> None:
        now, most = self.loop.time(), float(BURST * self.frames_per_second)
        earned = (now - self._allowed_at) * self.frames_per_second
        self._allowance, self._allowed_at = min(self._allowance + earned, most) - frames, now
        if self._allowance >= 0:
            return
        self.conn.events.clear()
        if self.close_sent:
            self.transport.abort()
        else:
            self.conn.fail(TOO_MANY, "Too many messages")
            self.handle_parser_exception()

    def _answer_a_bad_handshake(self) -> None:
        """A request that is refused before it is one: its answer is written already."""
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def _regulate(self) -> None:
        if self.transport.is_closing():
            return
        if not self._received:
            if not self.read_paused:
                self.transport.resume_reading()
            return
        self.transport.pause_reading()
        if self._may_parse:
            self._schedule()

    async def receive(self) -> Any:
        message = await super().receive()
        if self._received:
            self.transport.pause_reading()
            self._schedule()
        return message

    def _schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = self.loop.call_soon(self._parse)

    def _unschedule(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None


def protocols(
    *, peers: Peers, header: float, write: float, frames: int
) -> tuple[type[HttpProtocol], type[WebSocketProtocol]]:
    """The classes that uvicorn makes one object of for each connection; it passes them no arguments of ours."""
    shared = {"peers": peers, "write_seconds": write}
    http = type("HttpProtocol", (HttpProtocol,), {**shared, "header_seconds": header})
    socket_ = type("WebSocketProtocol", (WebSocketProtocol,), {**shared, "frames_per_second": frames})
    return http, socket_
