"""The two ways to Postgres: reading (one compiled statement, no ORM) and writing (one transaction, one unit)."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Limits:
    """How long Postgres may keep us waiting, in seconds, and how many connections each side may hold."""

    connect: float = 3.0
    read: float = 10.0
    write: float = 120.0
    lock: float = 10.0
    readers: int = 10
    writers: int = 10
    pooled: bool = False  # behind PgBouncer in transaction mode: nothing of a session outlasts a transaction


@dataclass(frozen=True, slots=True)
class Database:
    """A database, opened. Built once by the composition root and passed to whoever needs it."""

    url: str
    pool: asyncpg.Pool
    engine: AsyncEngine
    limits: Limits

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[asyncpg.Connection, None]:
        """A connection for reads: each statement sees one state, and another than the statement before it."""
        try:
            connection = await self.pool.acquire(timeout=self.limits.connect)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            raise Unavailable from error
        try:
            async with _bounded(connection, self.limits) if self.limits.pooled else nullcontext():
                yield connection  # type: ignore[misc]
        except asyncpg.InternalClientError:  # it was being ended while we spoke: nothing more can be said on it
            connection.terminate()
            raise
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.pool.close()
        await self.engine.dispose()


@asynccontextmanager
async def connect(url: str, limits: Limits | None = None) -> AsyncGenerator[Database, None]:
    """Open the database at `url` (postgresql://…, a Unix socket as `?host=/dir`), and close it after the block."""
    limits = limits or Limits()
    pool = await asyncpg.create_pool(
        driver_url(url),
        min_size=0,
        max_size=limits.readers,
        timeout=limits.connect,
        command_timeout=limits.read,
        statement_cache_size=0 if limits.pooled else 1024,
        max_cacheable_statement_size=64 * 1024,
        server_settings=_startup_parameters(limits, read_only=True),
        reset=_leave_as_it_is,
    )
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=limits.writers,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "timeout": limits.connect,
            "command_timeout": limits.write,
            "server_settings": _startup_parameters(limits, read_only=False),
            **(UNPREPARED if limits.pooled else {}),
        },
    )
    if limits.pooled:
        _bound_transactions(engine, limits)
    database = Database(url=url, pool=pool, engine=engine, limits=limits)
    try:
        yield database
    finally:
        await database.close()


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """A reader leaves nothing behind that asyncpg's RESET ALL would have to undo, at a round trip for every read."""


def driver_url(url: str) -> str:
    """The URL as asyncpg itself takes it, whatever SQLAlchemy driver name it came with."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def driver_connection(session: AsyncSession) -> Callable[[], Awaitable[asyncpg.Connection]]:
    """The asyncpg connection below a session, inside its transaction: for COPY and for the queue."""

    async def unwrap() -> asyncpg.Connection:
        connection = await (await session.connection()).get_raw_connection()
        raw: Any = connection.driver_connection
        return raw  # type: ignore[no-any-return]

    return unwrap


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction, tried again, may succeed: a deadlock, a lost serialization, a fallen server."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return isinstance(error, DBAPIError) and (error.connection_invalidated or state in TRANSIENT)


TRANSIENT = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "55P03"})


# -- settings of a session, or behind a pooler of each transaction ---------------------------------------------------

UNPREPARED: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",  # a name could be another client's, on the connection that comes next
}


def _startup_parameters(limits: Limits, *, read_only: bool) -> dict[str, str]:
    """What is sent when a connection is opened. PgBouncer refuses all but a few, of which these two are."""
    parameters = {"application_name": "labelgraph", "timezone": "UTC"}
    if limits.pooled:
        return parameters
    if read_only:
        parameters["default_transaction_read_only"] = "on"
    return parameters | _settings(limits, read_only=read_only)


def _settings(limits: Limits, *, read_only: bool) -> dict[str, str]:
    return {
        "jit": "off",
        "max_parallel_workers_per_gather": "0",  # the cores are for other requests
        "random_page_cost": "1.1",  # solid-state disks; the default of 4 makes small writes read whole tables
        "lock_timeout": f"{limits.lock:g}s",
        "statement_timeout": f"{(limits.read if read_only else limits.write):g}s",
        "idle_in_transaction_session_timeout": "60s",
    }


@asynccontextmanager
async def _bounded(connection: asyncpg.Connection, limits: Limits) -> AsyncGenerator[None, None]:
    """A read-only transaction with the settings of a reader's session; ended by COMMIT, for notices go out with it."""
    settings = _settings(limits, read_only=True)
    local = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
    await connection.execute(f"BEGIN READ ONLY; {local}")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("COMMIT")


def _bound_transactions(engine: AsyncEngine, limits: Limits) -> None:
    """Give every transaction of the engine the settings of a writer's session."""
    settings = _settings(limits, read_only=False)
    statement = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())

    @event.listens_for(engine.sync_engine, "begin")
    def bound(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
