"""Connections: the protocols between sockets and the application, and limits for one connection and one address.

uvicorn's protocols parse whatever has come at once, wait for ever for a client that does not read, and have no limit
on a request's head. Ours parse a little in each iteration of the event loop, so that no connection delays the others.

http              one request after the other               websocket      one message after the other
open_connections  how many connections there may be         write_timeout  clients that do not read
next_turn         parsing that goes on later
"""

from api.connections.http import HttpProtocol
from api.connections.open_connections import OpenConnections, network_of
from api.connections.websocket import WebSocketProtocol

__all__ = ["OpenConnections", "network_of", "protocols"]


def protocols(
    *, open_connections: OpenConnections, header_seconds: float, write_seconds: float, frames_per_second: int
) -> tuple[type[HttpProtocol], type[WebSocketProtocol]]:
    """The classes that uvicorn makes one object of for each connection; it passes them no arguments of ours."""
    shared = {"open_connections": open_connections, "write_seconds": write_seconds}
    http = type("HttpProtocol", (HttpProtocol,), {**shared, "header_seconds": header_seconds})
    websocket = type("WebSocketProtocol", (WebSocketProtocol,), {**shared, "frames_per_second": frames_per_second})
    return http, websocket
