"""WebSockets: uvicorn's protocol, with a limit on frames and a deadline for writing."""

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.connections.connection import LimitedConnection
from api.limits.rates import Allowances

CHUNK: Final = 2 * 1024  # bytes that are parsed at once
BURST: Final = 10  # seconds' worth of frames that a client may send at once
HANDSHAKE: Final = 20  # frames as which a handshake counts
TOO_MANY: Final = 4429


class WebSocketProtocol(LimitedConnection, WebSocketsSansIOProtocol):
    """uvicorn's protocol, one message after the other, with a limit on frames and a deadline for writing."""

    frames_per_second = 100

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._allowance = Allowances(self.frames_per_second, BURST * self.frames_per_second)
        self.open_connections.count(self.address)
        self._counted = True
        self.open_connections.spend_frames(self.address, HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._parse()

    def _parse(self) -> None:
        """A few frames, once the application has taken the message before them."""
        self._cancel_parse()
        if self.transport.is_closing():
            self._received.clear()
            return
        if self._received and self._may_parse:
            chunk = bytes(self._received[:CHUNK])
            del self._received[:CHUNK]
            super().data_received(chunk)
            if self.conn.handshake_exc is not None and not self.handshake_complete:  # its answer is prepared already
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.transport.close()
        if self.transport.is_closing():
            return
        if self._received:
            self.transport.pause_reading()
            if self._may_parse:
                self._parse_later()
        elif not self.read_paused:
            self.transport.resume_reading()

    @property
    def _may_parse(self) -> bool:
        """The application has taken every message, or takes none any more."""
        return self.queue.empty() or self.close_sent

    def handle_events(self) -> None:
        frames = len(self.conn.events)
        if (
            not self.open_connections.spend_frames(self.address, frames)
            or self._allowance.spend(self.address, frames) < 0
        ):
            self.conn.events.clear()
            if self.close_sent or not self.handshake_complete:
                self.transport.abort()
            else:
                self.conn.fail(TOO_MANY, "Too many messages")
                self.handle_parser_exception()
        super().handle_events()

    async def receive(self) -> Any:
        message = await super().receive()
        if self._received:
            self.transport.pause_reading()
            self._parse_later()
        return message
