"""Connections: the protocols between sockets and the application, and what one connection, or one address, may take.

uvicorn's protocols parse whatever has come at once, wait for ever for a client that does not read, and have no limit
on a request's head. Ours parse a little in each turn of the event loop, so that no connection holds up the others.

open_connections  how many connections there may be         progress    clients that do not read
http        one request after the other               websocket   one message after the other
"""

from api.connections.http import HttpProtocol
from api.connections.open_connections import OpenConnections, network_of
from api.connections.websocket import WebSocketProtocol

__all__ = ["OpenConnections", "network_of", "protocols"]


def protocols(
    *, peers: OpenConnections, header: float, write: float, frames: int
) -> tuple[type[HttpProtocol], type[WebSocketProtocol]]:
    """The classes that uvicorn makes one object of for each connection; it passes them no arguments of ours."""
    shared = {"peers": peers, "write_seconds": write}
    http = type("HttpProtocol", (HttpProtocol,), {**shared, "header_seconds": header})
    socket_ = type("WebSocketProtocol", (WebSocketProtocol,), {**shared, "frames_per_second": frames})
    return http, socket_
