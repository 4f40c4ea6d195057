"""The two ways to Postgres: reading (one compiled statement, no ORM) and writing (one transaction, one unit)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Unavailable
from db.session_settings import UNPREPARED, Limits, bound_transactions, bounded, startup_parameters
from db.turns import Turns

__all__ = ["Database", "Limits", "connect", "driver_connection", "driver_url", "is_transient"]

DIALECT = "postgresql+asyncpg://"


@dataclass(frozen=True, slots=True)
class Database:
    """A database, opened. Built once by the composition root and passed to whoever needs it."""

    url: str
    pool: asyncpg.Pool
    engine: AsyncEngine
    limits: Limits
    turns: Turns  # of what may read every row

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[asyncpg.Connection, None]:
        """A connection for reads: each statement sees one state, and another than the statement before it."""
        try:
            connection = await self.pool.acquire(timeout=self.limits.connect)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            raise Unavailable from error
        try:
            async with bounded(connection, self.limits) if self.limits.pooled else nullcontext():
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
        server_settings=startup_parameters(limits, read_only=True),
        reset=_leave_as_it_is,
    )
    engine = create_async_engine(
        DIALECT,
        pool_size=limits.writers,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "async_creator_fn": opener(url),
            "timeout": limits.connect,
            "command_timeout": limits.write,
            "server_settings": startup_parameters(limits, read_only=False),
            **(UNPREPARED if limits.pooled else {}),
        },
    )
    if limits.pooled:
        bound_transactions(engine, limits)
    database = Database(url, pool, engine, limits, Turns(limits.searches, each=limits.searches // 2))
    try:
        yield database
    finally:
        await database.close()


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """A reader leaves nothing behind that asyncpg's RESET ALL would have to undo, at a round trip for every read."""


def opener(url: str) -> Callable[..., Awaitable[asyncpg.Connection]]:
    """Opens connections for SQLAlchemy, which would read the URL differently (`sslmode`, several hosts)."""

    async def opened(**arguments: Any) -> asyncpg.Connection:
        return await asyncpg.connect(driver_url(url), **arguments)

    return opened


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
