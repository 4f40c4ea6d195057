"""HTTP: uvicorn's protocol, with a limit on a request's head and deadlines for reading and writing."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connections.open_connections import OpenConnections, network_of
from api.connections.websocket import WebSocketProtocol
from api.connections.write_timeout import WriteTimeout

HEAD: Final = 64 * 1024  # bytes of a request's line and headers, and of all that comes without being part of a body
HEADERS: Final = 200  # of one request
HEAD_PIECE, BODY_PIECE = 16 * 1024, 64 * 1024  # bytes that are parsed at once
PIECES: Final = 16  # that are parsed in one turn of the event loop
AHEAD: Final = 64 * 1024  # bytes of later requests that are kept while one is answered
DISCARDED: Final = 16 * 1024 * 1024  # bytes that are read, and dropped, of a body whose request was answered already
UNREAD: Final = 30.0  # seconds in which such a body is to end
REFUSED: Final = 64  # refused connections that are given time to read why at once; the others are cut off
LINGER: Final = 2.0  # seconds of that time
HEAD_END: Final = b"\r\n\r\n"


class Flow(FlowControl):
    """Reading pauses for the application; when it goes on, what has come already is parsed first."""

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._resumed = resumed

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._resumed()


class ResponseTransport:
    """What a response sees of its connection's transport; the protocol decides when it is closed."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, close


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, one request after the other, with a limit on heads and deadlines for reading and writing."""

    peers: OpenConnections
    header_seconds = 5.0
    write_seconds = 20.0

    url = b""
    address = ""
    _counted = False
    _clock: asyncio.TimerHandle | None = None
    _scheduled: asyncio.Handle | None = None
    _progress: WriteTimeout | None = None
    _refused = False
    _upgraded = False
    _in_head = True
    _received_whole = False  # the latest request
    _unread = False  # the rest of the latest request's body, since its response is sent
    _idle_bytes = 0  # since a head or a piece of a body was complete
    _body_left = 0  # bytes of a body of known length
    _discarded = 0  # bytes of bodies and of refused requests that nobody takes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._received = bytearray()
        self.flow = Flow(transport, self._schedule)
        self._progress = WriteTimeout(transport, self.write_seconds)
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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.transport = ResponseTransport(self.transport, self._close)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)

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
        if self._unread:
            self._end_unread()

    def _close(self) -> None:
        """After a response. A client that still sends would lose it by a reset: it is given time to end its body."""
        if self._received_whole or not self.cycle.response_complete:
            self.transport.close()
        else:
            self.transport.write_eof()

    def _end_unread(self) -> None:
        self._unread = False
        if self.cycle.keep_alive:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self._rest()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._received_whole and not self.transport.is_closing():
            self._unread = True
            self._clock = self.loop.call_later(UNREAD, self._expire)
        self._rest()

    def _rest(self) -> None:
        """Go on with the next request, or wait for it."""
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
        has_response = self.cycle.response_started if self._answering else self._unread
        if not has_response:
            self.transport.write(_refusal(status))
            self.transport.write_eof()
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.loop.call_later(LINGER, self.transport.abort)

    def _turn_away(self, status: HTTPStatus) -> None:
        """Refuse a connection for which there is no room; only few at once get a response."""
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
