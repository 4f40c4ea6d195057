"""HTTP: uvicorn's protocol, with a limit on a request's head and deadlines for reading and writing."""

import asyncio
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.requests import ClientDisconnect
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connections.connection import LimitedConnection
from api.connections.websocket import WebSocketProtocol
from api.request_ids import HEADER, identify
from db.errors import REQUEST_ID

MAX_HEAD: Final = 64 * 1024  # bytes of a request's line and headers, and of all that comes without being part of a body
MAX_HEADERS: Final = 200  # of one request
HEAD_CHUNK, BODY_CHUNK = 16 * 1024, 64 * 1024  # bytes that are parsed at once
CHUNKS: Final = 16  # that are parsed in one turn of the event loop
MAX_PENDING: Final = 64 * 1024  # bytes of later requests that are buffered while one is answered
MAX_WAITING: Final = 16 * 1024  # bytes of a response that wait for what follows
MAX_DISCARDED: Final = 16 * 1024 * 1024  # bytes that are read, and dropped, of a body after its response
UNREAD_SECONDS: Final = 30.0  # in which such a body is to end
MAX_REFUSED: Final = 64  # refused connections that are given time to read why at once; the others are cut off
LINGER_SECONDS: Final = 2.0  # of that time
HEAD_END: Final = b"\r\n\r\n"
# In a request's state:
LEFT: Final = "client left"  # what is called when its client leaves without the whole response
RECEIVED: Final = "received"  # it is there once all of the request is here


class WhileConnected:
    """The block is canceled when the client leaves, and raises ClientDisconnect then."""

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self._state, self._task, self._left = scope["state"], asyncio.current_task(), False

    def __enter__(self) -> None:
        self._state[LEFT] = self._leave

    def _leave(self) -> None:
        assert self._task is not None
        self._left = True
        self._task.cancel()

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        del self._state[LEFT]
        if self._left and self._task is not None and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise ClientDisconnect from None


class ResponseTransport:
    """What a response sees of its connection's transport. The protocol decides when it is closed; and when reading goes
    on, what has come already is parsed first. What is written waits for what follows, until the next turn of the event
    loop at most: uvicorn writes a response's head and body apart, and to send them apart costs as much again."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None], resume: Callable[[], None]) -> None:
        self.is_closing, self.pause_reading, self.resume_reading = transport.is_closing, transport.pause_reading, resume
        self._transport, self._close, self._loop = transport, close, asyncio.get_running_loop()
        self._waiting = b""
        self._flush: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        if self._waiting or len(data) > MAX_WAITING:
            self.flush(data)
        elif data:
            self._waiting, self._flush = data, self._loop.call_soon(self.flush)

    def flush(self, data: bytes = b"") -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        waiting, self._waiting = self._waiting, b""
        if (waiting or data) and not self.is_closing():
            self._transport.write(waiting + data)

    def close(self) -> None:
        self.flush()
        self._close()


class HttpProtocol(LimitedConnection, HttpToolsProtocol):
    """uvicorn's protocol, one request after the other, with a limit on heads and deadlines for reading and writing."""

    header_seconds = 5.0

    url = b""
    _timer: asyncio.TimerHandle | None = None
    _refused = False
    _upgraded = False
    _in_head = True
    _received_whole = False  # the latest request
    _unread = False  # the rest of the latest request's body, since its response is sent
    _idle_bytes = 0  # since a head or a piece of a body was complete
    _body_left = 0  # bytes of a body of known length
    _discarded = 0  # bytes of bodies and of refused requests that nobody takes

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._response_transport = cast(Any, ResponseTransport(transport, self._close, self._parse_later))
        self.flow = FlowControl(self._response_transport)
        status = self.open_connections.add(self.address)
        if status is None:
            self._counted = True
            self._start_timer()
        elif self.open_connections.refused >= MAX_REFUSED:
            self._refused = True
            self.transport.abort()
        else:
            self._refuse(status)
            self.open_connections.note_refusal(LINGER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answering:
            self.cycle.scope["state"].get(LEFT, lambda: None)()

    def close_idle(self) -> None:
        """Close, while no request is in hand, to make room for another connection."""
        self._stop_counting()
        self._unset_keepalive_if_required()
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discard(len(data))
            return
        self.open_connections.mark_active(self.address, self.close_idle)
        self._unset_keepalive_if_required()
        self._received += data
        self._parse()

    def _parse(self) -> None:
        """A part of what has come, up to the end of one request; then read on, unless enough is here."""
        self._cancel_parse()
        for _ in range(CHUNKS):
            if not self._received or self._must_wait or self.transport.is_closing():
                break
            self._parse_chunk()
        if self.transport.is_closing() or self._ended:
            self._received.clear()
        elif self._received and not self._must_wait:
            self.transport.pause_reading()
            self._parse_later()
        elif self.flow.read_paused or len(self._received) > MAX_PENDING:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

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

    def _parse_chunk(self) -> None:
        """A chunk ends where a request does, so that no second one begins in it."""
        if self._body_left:
            size = min(self._body_left, BODY_CHUNK)
        else:
            end = self._received.find(HEAD_END, 0, HEAD_CHUNK)
            size = HEAD_CHUNK if end < 0 else end + len(HEAD_END)
        size = min(size, MAX_HEAD - self._idle_bytes)
        chunk = bytes(self._received[:size])
        del self._received[:size]
        self._idle_bytes += len(chunk)
        self._feed(chunk)
        if self._upgraded:
            protocol = self.transport.get_protocol()
            assert isinstance(protocol, WebSocketProtocol)
            protocol.data_received(bytes(self._received))
        elif self._refused:
            return
        elif self._idle_bytes >= MAX_HEAD:
            self._refuse(self._too_large())
        elif self._in_head and self._idle_bytes and self._timer is None and not self._answering:
            self._start_timer()  # for the rest of a head

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._received[:0] = data[upgrade.args[0] :]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self._refuse(HTTPStatus.BAD_REQUEST)
            else:
                self._parse_without_upgrade()
        except HttpParserError:
            REQUEST_ID.set("")  # of another request, which was before it, also on another connection
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("")

    @property
    def _ignores_upgrade(self) -> bool:
        """Whether the request asks for another upgrade than to a WebSocket: it is answered as any other."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _parse_without_upgrade(self) -> None:
        """The head once more: with the upgrade in it the parser took the body for what follows the request."""
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._feed(line + headers + b"\r\n")

    def _too_large(self) -> HTTPStatus:
        is_url = self._in_head and len(self.url) > MAX_HEAD // 2
        return HTTPStatus.REQUEST_URI_TOO_LONG if is_url else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._received_whole, self._body_left = True, False, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # behind a body: no part of the request
            return
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("too many headers")  # for the parser, which stops
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._ignores_upgrade:
            return
        self._stop_timer()
        self._in_head, self._idle_bytes, self._discarded = False, 0, 0
        # 0 where the length is not known. The parser has refused what is no number.
        self._body_left = int(dict(self.headers).get(b"content-length", 0))
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.transport = self._response_transport
        cycle.default_headers = [(HEADER, identify(cycle.scope["headers"]))]
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        self._body_left = max(self._body_left - len(body), 0)
        if self.cycle.response_complete:
            self._discard(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignores_upgrade:
            return
        self._stop_timer()
        self._in_head, self._received_whole, self._idle_bytes, self._body_left = True, True, 0, 0
        self.scope["state"][RECEIVED] = True
        super().on_message_complete()
        if not self._unread:
            return
        self._unread = False
        if self.cycle.keep_alive:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self._continue()
        else:
            self.transport.close()

    def _close(self) -> None:
        """After a response. A client that still sends would lose it by a reset: it is given time to end its body."""
        if self._received_whole or not self.cycle.response_complete:
            self.transport.close()
        else:
            self.transport.write_eof()

    def on_response_complete(self) -> None:
        self._response_transport.flush()
        super().on_response_complete()
        if not self._received_whole and not self.transport.is_closing():
            self._unread = True
            self._timer = self.loop.call_later(UNREAD_SECONDS, self.transport.close)
        self._continue()

    def _continue(self) -> None:
        """Go on with the next request, or wait for it."""
        if self._received:
            self._parse_later()
        elif self._counted and not self.transport.is_closing():
            self.open_connections.mark_idle(self.address, self.close_idle)

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._stop_counting()
        self._write_timeout.stop()
        identify(self.headers)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take."""
        self._refuse(
            self._too_large() if self._in_head and len(self.headers or ()) >= MAX_HEADERS else HTTPStatus.BAD_REQUEST
        )

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, unless an answer is on its way, and close once the client has had time to read it."""
        self._refused = True
        self._stop_timer()
        self._response_transport.flush()
        has_response = self.cycle.response_started if self._answering else self._unread
        if not has_response:
            body = f"{status.phrase}\n"
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
            self.transport.write_eof()
        if self._answering:
            self.cycle.disconnected, self.cycle.waiting_for_100_continue = True, False
            self.cycle.message_event.set()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_DISCARDED:
            self.transport.abort()

    def _stop_counting(self) -> None:
        self._stop_timer()
        self.open_connections.mark_active(self.address, self.close_idle)
        super()._stop_counting()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
