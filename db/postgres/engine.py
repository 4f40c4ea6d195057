"""Connections to Postgres: for reading (one compiled statement, no ORM) and for writing (one transaction). Queries of
clients are also read from standbys; everything else is from the primary.

The settings of a session are sent when a connection is opened, or set in each transaction behind a pooler. A
transaction pooler uses any of its connections for each transaction, so neither settings nor prepared statements last
longer than that, and PgBouncer refuses most parameters that a client sends when it connects.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from db.concurrency_limits import Batches, ConcurrencyLimit, Slot
from db.errors import DomainError
from db.postgres import sql
from db.postgres.outages import ANY_ERROR, DRIVER_ERRORS, DatabaseUnavailable, Outages, explain, is_rolled_back
from db.postgres.readers import GRACE, READ, Readers, Reading, StatementObserver
from db.postgres.standbys import REPLAYED, Client, Positions, Primary, Server, Standby, Standbys, with_position

T = TypeVar("T")
DIALECT = "postgresql+asyncpg://"
DATABASE: Final = "database"
WRITE: Final = "write"
TOGETHER: Final = 16  # writes of one dataset that are committed together, at most
UNLIMITED: Final = 1_000_000
# The isolation of a statement that reads. With READ COMMITTED it is executed in a later state than it is planned in,
# where functions are called whose result Postgres takes for constant, such as dataset_named.
ONE_STATE: Final = "REPEATABLE READ"
ATTRIBUTE: Final = "target_session_attrs="
PREFER_STANDBY: Final = ATTRIBUTE + "prefer-standby"
NO_PREPARED_STATEMENTS: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",  # on the next connection a name could be another client's
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts in seconds, and numbers of connections."""

    connect: float = 3.0
    read: float = 10.0
    write: float = 120.0
    large_write: float = 3600.0  # of a transaction that changes at least so many rows:
    large: int = 100_000
    lock: float = 10.0
    readers: int = 10
    writers: int = 10
    searches: int = 4  # of the readers, those that may run costly reads at once; half of them for one token
    pooled: bool = False  # behind PgBouncer in transaction mode
    lag: float = 5.0  # of a standby that answers queries, at most


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
                    connection = await open_connection(self.url, timeout=GRACE, statement_cache_size=0)
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
    readers: Readers
    engine: AsyncEngine
    limits: Limits
    costly_reads: ConcurrencyLimit  # those that may read every row
    writers_of_dataset: ConcurrencyLimit
    probe: Probe
    together: Batches = field(default_factory=lambda: Batches(TOGETHER))  # writes, by dataset
    outages: Outages = field(default_factory=Outages)
    deadline: asyncio.Timeout | None = None  # of the operation that it was passed to
    slot: Slot | None = None  # of that operation, among those that use the database
    standbys: Standbys | None = None
    client: Client | None = None  # of the operation that uses it, where there are standbys

    def connections(self) -> Mapping[str, Mapping[str, int]]:
        """How many connections for reading and for writing there are now, in use and idle."""
        writers = cast(QueuePool, self.engine.pool)
        idle = self.readers.idle
        return {
            READ: {"in_use": self.readers.pool.get_size() - idle, "idle": idle},
            WRITE: {"in_use": writers.checkedout(), "idle": writers.checkedin()},
        }

    @property
    def waiting(self) -> Counter[str]:
        """How much waits for a connection."""
        return self.readers.waiting

    def of_client(self, number: int, *, position: int = 0, may_use_standbys: bool) -> "Database":
        """For one operation of a client, which sees at least the position and what it wrote before."""
        if self.standbys is None:
            return self
        positions = self.standbys.positions
        own = max(position, positions.of(number))
        return replace(self, client=Client(positions, number, own, may_use_standbys))

    async def advance_position(self) -> None:
        """Have the client's later operations see whatever is committed by now."""
        if self.standbys is not None and self.client is not None:
            self.client.advance(await self.standbys.primary.position())

    async def value(self, text: str, *arguments: object) -> Any:
        """The single value of a statement that reads. For a client's query it comes from a standby that has what the
        client must see; where there is none, or the standby is lost or cancels the statement, from the primary."""
        client = self.client
        if client is None:
            async with self._reading_once() as connection:
                return await connection.fetchval(text, *arguments)
        text = with_position(text)
        row = None
        if client.may_use_standbys and self.standbys and (standby := self.standbys.choose(client.position)):
            row = await self._row_of(standby, client.position, text, arguments)
        if row is None:
            async with self._reading_once() as connection:
                row = await connection.fetchrow(text, *arguments)
        return client.value(row)

    async def _row_of(self, standby: Standby, position: int, text: str, arguments: Sequence[object]) -> Any:
        """None where the primary is to be asked."""
        assert standby.readers is not None
        standby.reads += 1
        try:
            if standby.position < position:
                async with _reading(standby.readers, self.limits) as connection:
                    standby.position = await connection.fetchval(REPLAYED)
            if standby.position < position:
                return None
            async with _reading(standby.readers, self.limits, isolation=ONE_STATE) as connection:
                return await connection.fetchrow(text, *arguments)
        except Exception as error:
            unavailable = error if isinstance(error, DatabaseUnavailable) else explain(error)
            if unavailable is not None and unavailable.connection_lost:
                standby.is_well = False  # until it is looked at again
            if unavailable is None and not is_rolled_back(error):
                raise
            return None
        finally:
            standby.reads -= 1

    async def read_anywhere(self, read: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What is read from the primary or, while that is away, from a standby, as old as it may be there."""
        try:
            async with self.reading() as connection:
                return await read(connection)
        except DatabaseUnavailable:
            standby = self.standbys.choose(0) if self.standbys else None
            if standby is None or standby.readers is None:
                raise
        async with _reading(standby.readers, self.limits, self.outages) as connection:
            return await read(connection)

    def reading(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection for reads of the primary: each statement sees one state, and another than the statement before
        it."""
        return _reading(self.readers, self.limits, self.outages)

    def _reading_once(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """The same, for a single statement."""
        return _reading(self.readers, self.limits, self.outages, isolation=ONE_STATE)

    def unused(self) -> AbstractAsyncContextManager[None]:
        """While an operation waits in memory: others may use the database in its stead."""
        return nullcontext() if self.slot is None else self.slot.left()

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession, None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        committing, termination = False, None
        try:
            async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session, session.begin():
                session.info[DATABASE] = self
                self.waiting[WRITE] += 1
                try:
                    driver = await sql.raw_connection(await session.connection())
                finally:
                    self.waiting[WRITE] -= 1
                try:
                    yield session
                    if sql.TIMEOUT in session.info:  # what else would run during COMMIT, in the time for others
                        await sql.run(session, "SET CONSTRAINTS ALL IMMEDIATE")
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


async def allow_time_for(session: AsyncSession, rows: int) -> None:
    """Give a transaction that is about to change this many rows, and its request, more time if they are many."""
    database: Database = session.info[DATABASE]
    limits = database.limits
    if rows < limits.large or sql.TIMEOUT in session.info:
        return
    session.info[sql.TIMEOUT] = limits.large_write + GRACE
    await sql.run(session, f"SET LOCAL statement_timeout = '{limits.large_write:g}s'")
    if database.deadline is not None:
        database.deadline.reschedule(asyncio.get_running_loop().time() + limits.large_write)


def _reading(
    readers: Readers, limits: Limits, outages: Outages | None = None, *, isolation: str = "READ COMMITTED"
) -> AbstractAsyncContextManager[asyncpg.Connection]:
    reading = Reading(readers, outages)
    return _read_only_transaction(reading, limits, isolation) if limits.pooled else reading


@asynccontextmanager
async def connect(
    url: str,
    limits: Limits | None = None,
    statements: StatementObserver | None = None,
    *,
    standbys: Sequence[str] = (),
    positions: Positions | None = None,
) -> AsyncGenerator[Database, None]:
    """Open the database at `url` (postgresql://…, a Unix socket as `?host=/dir`), and close it after the block.
    `standbys`: the URLs of servers that follow it; `positions`: of the clients of several processes."""
    limits = limits or Limits()
    readers = await _open_readers(url, limits, statements)
    engine = create_async_engine(
        DIALECT,
        pool_size=limits.writers,
        max_overflow=0,
        pool_timeout=30,
        connect_args={
            "async_creator_fn": opener(url, None if statements is None else _observer(statements)),
            "timeout": limits.connect,
            "command_timeout": limits.write + GRACE,
            "server_settings": _startup_parameters(limits, read_only=False),
            **(NO_PREPARED_STATEMENTS if limits.pooled else {}),
        },
    )
    _test_before_use(engine, limits.connect)
    if statements is not None:
        _observe_orm(engine, statements)
    if limits.pooled:
        _set_in_each_transaction(engine, limits)
    costly_reads = ConcurrencyLimit(limits.searches, per_key=limits.searches // 2)
    writers_of_dataset = ConcurrencyLimit(UNLIMITED, per_key=max(2, limits.writers // 3))
    database = Database(url, readers, engine, limits, costly_reads, writers_of_dataset, Probe(url))
    try:
        async with AsyncExitStack() as stack:
            if standbys:
                found = _standbys(url, standbys, limits, positions or Positions(), statements)
                await stack.enter_async_context(found.watching())
                database = replace(database, standbys=found)
            yield database
    finally:
        await readers.close()
        await engine.dispose()


async def _open_readers(url: str, limits: Limits, statements: StatementObserver | None) -> Readers:
    async def keep(_: asyncpg.Connection) -> None:
        """A reader changes nothing that asyncpg's RESET ALL would have to undo, at a round trip for every read."""

    async def forbid_writes(connection: asyncpg.Connection) -> None:
        """Not as it is opened: it would not match `target_session_attrs=read-write` then."""
        await connection.execute("SET default_transaction_read_only = on")

    pool = await asyncpg.create_pool(
        url,
        connect=cast(Any, open_connection),
        min_size=0,
        max_size=limits.readers,
        timeout=limits.connect,
        command_timeout=limits.read + GRACE,
        statement_cache_size=0 if limits.pooled else 1024,
        max_cacheable_statement_size=64 * 1024,
        server_settings=_startup_parameters(limits, read_only=True),
        init=None if limits.pooled else forbid_writes,
        reset=keep,
    )
    return Readers(pool, limits.connect, statements)


def _standbys(
    url: str, urls: Sequence[str], limits: Limits, positions: Positions, statements: StatementObserver | None
) -> Standbys:
    def server(at: str) -> Server:
        parameters = _startup_parameters(limits, read_only=True)
        connect = partial(
            open_connection, at, timeout=limits.connect, statement_cache_size=0, server_settings=parameters
        )
        return Server(connect, limits.pooled)

    def standby(number: int, at: str) -> Standby:
        parts = urlsplit(at)
        name = f"{number} ({parts.hostname or 'a socket'}, {parts.path.removeprefix('/')})"
        return Standby(name, server(at), limits.connect, lambda: _open_readers(at, limits, statements))

    found = tuple(standby(number, at) for number, at in enumerate(urls, 1))
    return Standbys(Primary(server(url), limits.connect), found, positions, limits.lag)


@asynccontextmanager
async def single_transaction(url: str) -> AsyncGenerator[AsyncConnection, None]:
    """A transaction on a connection of its own, without limits of time, as migrations need."""
    engine = create_async_engine(DIALECT, poolclass=NullPool, connect_args={"async_creator_fn": opener(url)})
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def opener(
    url: str, init: Callable[[asyncpg.Connection], Awaitable[None]] | None = None
) -> Callable[..., Awaitable[asyncpg.Connection]]:
    """Opens connections for SQLAlchemy, which would read the URL differently (`sslmode`, several hosts)."""

    async def opened(**arguments: Any) -> asyncpg.Connection:
        connection = await open_connection(url, **arguments)
        if init is not None:
            await init(connection)
        return connection

    return opened


def _observer(statements: StatementObserver) -> Callable[[asyncpg.Connection], Awaitable[None]]:
    """Makes a new connection report its statements, but those that are prepared by whoever runs them."""

    async def init(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda each: statements.add_statement(each.query, each.elapsed, each.exception))

    return init


def _observe_orm(engine: AsyncEngine, statements: StatementObserver) -> None:
    """Reports the statements that SQLAlchemy prepares."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(_connection: object, _cursor: object, _text: str, _values: object, context: Any, _many: bool) -> None:
        context.began_at = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(_connection: object, _cursor: object, text: str, _values: object, context: Any, _many: bool) -> None:
        statements.add_statement(text, time.perf_counter() - context.began_at, None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail(context: Any) -> None:
        began_at = getattr(context.execution_context, "began_at", None)
        if began_at is not None:
            seconds = time.perf_counter() - began_at
            statements.add_statement(context.statement or "", seconds, context.original_exception)


async def open_connection(url: str, *, timeout: float = 60, **arguments: Any) -> asyncpg.Connection:
    """Where the URL names several hosts, to the first that answers and is as it says. Each has its share of the
    seconds: asyncpg itself has all of them wait for one that says nothing."""
    parts = urlsplit(driver_url(url))
    user, at, hosts = parts.netloc.rpartition("@")
    urls = [parts._replace(netloc=f"{user}{at}{host}").geturl() for host in hosts.split(",")]
    if len(urls) > 1 and PREFER_STANDBY in parts.query:  # of a single host it takes whatever that is
        urls = [url.replace(PREFER_STANDBY, ATTRIBUTE + each) for each in ("standby", "any") for url in urls]
    *others, last = urls
    arguments["timeout"] = timeout / (len(others) + 1)
    for other in others:
        with suppress(*DRIVER_ERRORS, asyncpg.CannotConnectNowError):
            return await asyncpg.connect(other, **arguments)
    return await asyncpg.connect(last, **arguments)


def driver_url(url: str) -> str:
    """The URL as asyncpg itself takes it, whatever SQLAlchemy driver name it came with."""
    return f"postgresql://{url.partition('://')[2]}"


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


def _startup_parameters(limits: Limits, *, read_only: bool) -> dict[str, str]:
    """Parameters for a new connection. PgBouncer accepts few; the first two are among them."""
    parameters = {"application_name": "labelgraph", "timezone": "UTC"}
    if limits.pooled:
        return parameters
    if read_only:
        parameters["default_transaction_isolation"] = ONE_STATE
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
async def _read_only_transaction(
    reading: Reading, limits: Limits, isolation: str
) -> AsyncGenerator[asyncpg.Connection, None]:
    """With the settings of a reader's session. It ends with COMMIT, which sends its notifications."""
    settings = _settings(limits, read_only=True)
    local = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
    async with reading as connection:
        await connection.execute(f"BEGIN ISOLATION LEVEL {isolation} READ ONLY; {local}")
        is_broken = False
        try:
            yield connection
        except (TimeoutError, asyncpg.InternalClientError):  # the connection is closed by whoever took it
            is_broken = True
            raise
        finally:
            if not is_broken and not connection.is_closed():
                await connection.execute("COMMIT")


def _set_in_each_transaction(engine: AsyncEngine, limits: Limits) -> None:
    """Give every transaction of the engine the settings of a writer's session."""
    settings = _settings(limits, read_only=False)
    statement = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())

    @event.listens_for(engine.sync_engine, "begin")
    def set_all(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
