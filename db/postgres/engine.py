"""Connections to Postgres: for reading (one compiled statement, no ORM) and for writing (one transaction)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import ConcurrencyLimit
from db.errors import DomainError
from db.postgres import sql
from db.postgres.outages import ANY_ERROR, NO_ANSWER, OVERLOADED, DatabaseUnavailable, Outages
from db.postgres.session_settings import (
    NO_PREPARED_STATEMENTS,
    Limits,
    read_only_transaction,
    set_in_each_transaction,
    startup_parameters,
)

__all__ = ["Database", "Limits", "connect", "driver_url"]

DIALECT = "postgresql+asyncpg://"
GRACE: Final = 2.0  # seconds beyond its own limit in which a working server ends a statement


@dataclass(slots=True)
class Probe:
    """Whether Postgres answers, on a connection of its own, as all others may be waiting. Concurrent callers share one
    attempt."""

    url: str
    _attempt: asyncio.Task[bool] | None = None

    async def answers(self) -> bool:
        async def connect() -> bool:
            try:
                async with asyncio.timeout(GRACE):
                    connection = await asyncpg.connect(driver_url(self.url), statement_cache_size=0)
            except ANY_ERROR:
                return False
            connection.terminate()
            return True

        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.create_task(connect())
        return await asyncio.shield(self._attempt)


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. Built once by the composition root and passed to whoever needs it.

    Inside `reading` and `writing`, errors of the driver that mean an outage are raised as DatabaseUnavailable.
    """

    url: str
    pool: asyncpg.Pool
    engine: AsyncEngine
    limits: Limits
    costly_reads: ConcurrencyLimit  # those that may read every row
    probe: Probe
    outages: Outages = field(default_factory=Outages)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[asyncpg.Connection, None]:
        """A connection for reads: each statement sees one state, and another than the statement before it."""
        with self.outages.translated():
            try:
                connection = cast(asyncpg.Connection, await self.pool.acquire(timeout=self.limits.connect))
            except TimeoutError as error:
                all_in_use = self.pool.get_size() == self.limits.readers and self.pool.get_idle_size() == 0
                raise DatabaseUnavailable(OVERLOADED if all_in_use else NO_ANSWER, connection_lost=False) from error
            try:
                async with read_only_transaction(connection, self.limits) if self.limits.pooled else nullcontext():
                    yield connection
            except (asyncpg.InternalClientError, TimeoutError):  # the connection cannot be used any more
                connection.terminate()
                raise
            finally:
                with suppress(Exception):  # it is closed then, and the pool opens another
                    await self.pool.release(connection, timeout=GRACE)  # type: ignore[arg-type]

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        committing, termination = False, None
        try:
            async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session, session.begin():
                driver = await sql.raw_connection(await session.connection())
                try:
                    yield session
                except BaseException:  # a server that does not answer does not roll back either
                    termination = asyncio.get_running_loop().call_later(GRACE, driver.terminate)
                    raise
                committing = True
        except DomainError:
            raise
        except Exception as error:
            self.outages.reraise(error, committing=committing)
        finally:
            if termination is not None:
                termination.cancel()

    async def close(self) -> None:
        await self.pool.close()
        await self.engine.dispose()


@asynccontextmanager
async def connect(url: str, limits: Limits | None = None) -> AsyncGenerator[Database, None]:
    """Open the database at `url` (postgresql://…, a Unix socket as `?host=/dir`), and close it after the block."""
    limits = limits or Limits()

    async def keep(_: asyncpg.Connection) -> None:
        """A reader changes nothing that asyncpg's RESET ALL would have to undo, at a round trip for every read."""

    pool = await asyncpg.create_pool(
        driver_url(url),
        min_size=0,
        max_size=limits.readers,
        timeout=limits.connect,
        command_timeout=limits.read + GRACE,
        statement_cache_size=0 if limits.pooled else 1024,
        max_cacheable_statement_size=64 * 1024,
        server_settings=startup_parameters(limits, read_only=True),
        reset=keep,
    )
    engine = create_async_engine(
        DIALECT,
        pool_size=limits.writers,
        max_overflow=0,
        pool_timeout=30,
        connect_args={
            "async_creator_fn": opener(url),
            "timeout": limits.connect,
            "command_timeout": limits.write + GRACE,
            "server_settings": startup_parameters(limits, read_only=False),
            **(NO_PREPARED_STATEMENTS if limits.pooled else {}),
        },
    )
    _test_before_use(engine, limits.connect)
    if limits.pooled:
        set_in_each_transaction(engine, limits)
    costly_reads = ConcurrencyLimit(limits.searches, per_key=limits.searches // 2)
    database = Database(url, pool, engine, limits, costly_reads, Probe(url))
    try:
        yield database
    finally:
        await database.close()


def opener(url: str) -> Callable[..., Awaitable[asyncpg.Connection]]:
    """Opens connections for SQLAlchemy, which would read the URL differently (`sslmode`, several hosts)."""

    async def opened(**arguments: Any) -> asyncpg.Connection:
        return await asyncpg.connect(driver_url(url), **arguments)

    return opened


def driver_url(url: str) -> str:
    """The URL as asyncpg itself takes it, whatever SQLAlchemy driver name it came with."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _test_before_use(engine: AsyncEngine, seconds: float) -> None:
    """A pooled connection may have been lost since its last use: it is tested, and replaced if it does not answer.
    SQLAlchemy's own test takes three round trips, and waits as long as for a statement."""

    @event.listens_for(engine.sync_engine, "checkout")
    def test(adapted: Any, _record: object, _proxy: object) -> None:
        driver: asyncpg.Connection = adapted.driver_connection
        try:
            adapted.run_async(lambda connection: connection.execute("SELECT", timeout=seconds))
        except ANY_ERROR as error:
            driver.terminate()
            raise DisconnectionError from error
