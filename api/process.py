"""What every command needs around its work: a migrated database, signals as an event, one server."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
import uvloop

from api import embedded_postgres
from api.command_errors import CommandError, reason
from api.settings import Settings
from db.concurrency_limits import race
from db.datasets import images
from db.errors import NotFound
from db.identity import tokens
from db.identity.tokens import Scope
from db.postgres import engine, migrations, pgvector
from db.postgres.outages import ANY_ERROR
from db.postgres.standbys import Positions
from db.storage.locations import AllowedLocations

OWNER = "owner"
SWITCH_INTERVAL = 0.001  # seconds for which a thread that computes keeps the event loop waiting
# A request with ten thousands of boxes makes a million objects, which Python would search for garbage again and again,
# up to 100 ms each time. Objects until the youngest are searched, and how often until those that are older: with those
# of three searches, a search takes some milliseconds.
GARBAGE = 10_000, 3, 60
MAX_UNSENT = 128 * 1024  # bytes

Announce = Callable[[str], Awaitable[None]]
Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class CannotListen(CommandError):
    """The address cannot be listened on; the message says why."""


def run(main: Main, signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)) -> None:
    """Run `main`, which should end soon once the event is set: by Ctrl-C or SIGTERM. The second signal cancels it."""

    async def with_signals() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        task = loop.create_task(main(stopping))

        def stop() -> None:
            if stopping.is_set():
                task.cancel()
            stopping.set()

        for number in signals:
            loop.add_signal_handler(number, stop)
        await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(with_signals())


@contextmanager
def loading() -> Iterator[None]:
    """What is made in the block stays for good: the schema and all code. To search it for garbage takes 100 ms each
    time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@asynccontextmanager
async def migrated(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with the URL of a migrated database: the one they name, or the embedded server, which
    runs until the block ends."""
    if settings.database_url is not None:
        await _check_database("DATABASE_URL", settings.database_url, settings)
        if settings.listen_url is not None:
            await _check_database("LABELGRAPH_LISTEN_URL", settings.listen_url, settings)
        await migrations.upgrade(settings.listen_url or settings.database_url)
        await pgvector.enable(settings.listen_url or settings.database_url)
        yield settings
        return
    options = {"max_connections": str(max(100, 40 + settings.processes * (2 * settings.pool_size + 2)))}
    async with embedded_postgres.postgres(settings.data_dir, programs=settings.pg_bin, options=options) as url:
        await migrations.upgrade(url)
        await pgvector.enable(url)
        yield settings.with_changes(database_url=url)


async def _check_database(variable: str, url: str, settings: Settings) -> None:
    """Raises CommandError if there is no Postgres that we can work with. The message has no password in it."""
    seconds, parts = settings.timeouts.connect, urlsplit(url)
    unusable = f"The database that {variable} names ({parts.hostname or 'a socket'}, {parts.path}) cannot be used"
    try:
        async with asyncio.timeout(seconds):
            connection = await engine.open_connection(url, timeout=seconds, statement_cache_size=0)
    except TimeoutError as error:
        raise CommandError(f"{unusable}: it does not answer within {seconds:g} seconds.") from error
    except (*ANY_ERROR, ValueError) as error:
        raise CommandError(f"{unusable}: {reason(error)}.") from error
    major, oldest = connection.get_server_version().major, embedded_postgres.OLDEST
    await connection.close(timeout=seconds)
    if major < oldest:
        raise CommandError(f"{unusable}: it is PostgreSQL {major}, and {oldest} is the oldest.")


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[engine.Database]:
    """For commands that do one thing to the database and end."""
    async with migrated(settings) as ready, _connected(ready) as opened:
        yield opened


def _connected(settings: Settings) -> AbstractAsyncContextManager[engine.Database]:
    """The migrated database, by one connection for reading and one for writing; behind a pooler, too."""
    from api.configuration import database_limits  # as in `serve`

    return engine.connect(str(settings.database_url), replace(database_limits(settings), readers=1, writers=1))


class Server(uvicorn.Server):
    """uvicorn, without its signal handlers: they would end the process before Postgres is stopped."""

    def __init__(self, config: uvicorn.Config, state: Mapping[str, Any] | None = None) -> None:
        """`state`: that of a lifespan which goes on around this server; without it uvicorn runs the lifespan."""
        super().__init__(config)
        self.listening = asyncio.Event()
        self._state = state or {}

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self._state)
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: they would never end of themselves, and uvicorn waits for what is open."""
        self.lifespan.state["runtime"].stopping.set()
        await super().shutdown(sockets)

    @property
    def url(self) -> str:
        return url_of(self.servers[0].sockets[0])


def url_of(listener: socket.socket) -> str:
    """Where it listens, as a client on this machine writes it; with the actual port where the settings say 0."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


async def serve(
    settings: Settings,
    stopping: asyncio.Event,
    announce: Announce,
    *,
    listener: socket.socket | None = None,
    positions: Positions | None = None,
) -> None:
    """Serve until stopping. `announce` is called with the URL once the server listens; if it fails, the server ends.
    `listener` and `positions` are those of several processes."""
    listener = listener or listen(settings)
    with loading():
        from api.app import create_app  # the whole language with it, which other commands do not need
        from api.server_configuration import server_options

        app = create_app(settings, positions=positions)
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(SWITCH_INTERVAL)
    options = server_options(settings) | {"log_config": None, "access_log": False, "lifespan": "off"}
    config = uvicorn.Config(app, settings.host, settings.port, **options)
    async with app.router.lifespan_context(app) as state:  # here, for uvicorn would log its errors and exit
        await _run_server(Server(config, state), listener, stopping, announce)


async def work(settings: Settings, stopping: asyncio.Event, ready: Callable[[], object] = lambda: None) -> None:
    """Run jobs until stopping; running ones then go back to the queue. `ready` is called before the first."""
    with loading():
        from api.configuration import database_limits  # other commands need not wait for what these import
        from api.observation.observer import observing
        from api.worker import run

    limits = database_limits(settings)
    async with (
        observing(settings) as observer,
        engine.connect(str(settings.database_url), limits, observer.statements) as database,
    ):
        observer.watch_database(database)
        ready()
        await run(database, settings, stop=stopping, observer=observer)


async def _run_server(server: Server, listener: socket.socket, stopping: asyncio.Event, announce: Announce) -> None:
    async def announce_and_wait() -> None:
        await server.listening.wait()
        await announce(server.url)
        await asyncio.Event().wait()

    serving = asyncio.create_task(server.serve([listener]))
    try:
        announcing, *_ = await race(announce_and_wait(), stopping.wait(), asyncio.wait({serving}))
    except asyncio.CancelledError:
        server.force_exit = True
        raise
    finally:
        server.should_exit = True
        await serving
    if not announcing.cancelled():  # it failed
        announcing.result()


def listen(settings: Settings) -> socket.socket:
    """Called before anything else is built, so that a port in use is reported first."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        why = reason(error).partition(" (while ")[0]  # Python adds the address, which the message has already
        message = f"Cannot listen on {settings.host}:{settings.port}: {why}. Choose another with --host or --port."
        raise CannotListen(message) from error
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # of a client that does not read, the system's own buffer stays small
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
    return listener


def token_file(settings: Settings) -> Path:
    return settings.data_dir / "token"


async def owner_token(settings: Settings) -> str:
    """The token of the embedded server's owner: made once, and stored in the data directory where only they can read
    it."""
    file = token_file(settings)
    text = file.read_text().strip() if file.exists() else ""
    async with _connected(settings) as opened:
        async with opened.reading() as connection:
            if await tokens.verify(connection, text) is not None:
                return text
        async with opened.writing() as session:
            with suppress(NotFound):
                await tokens.revoke(session, OWNER)
            text = await tokens.create(session, name=OWNER, scope=Scope.MANAGE)
    file.touch(mode=0o600)
    file.write_text(text + "\n")
    return text


async def not_served(settings: Settings) -> list[str]:
    """As that of `db/datasets/images.py`, with these settings."""
    allowed = AllowedLocations(
        settings.allowed_roots, frozenset(settings.s3.buckets) or None, settings.s3.is_configured
    )
    async with _connected(settings) as opened:
        return await images.not_served(opened, allowed)
