"""The default without any set-up: a Postgres of our own below the data directory, over a Unix socket.

server      starts the supervisor, and starts it again when it was killed
supervisor  the program that runs Postgres for as long as some process uses it
"""

from api.embedded_postgres.server import OLDEST, OPTIONS, SOCKET, EmbeddedError, Server, find_programs, join, postgres

__all__ = ["OLDEST", "OPTIONS", "SOCKET", "EmbeddedError", "Server", "find_programs", "join", "postgres"]
