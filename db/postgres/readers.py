"""Connections for reading, most of which are at hand when they are needed.

asyncpg's pool takes a timer to give a connection, and a task, a timer and a reset to take it back: much, for a small
read. A connection whose block ended without an error needs none of it. So it stays taken from the pool, and is given to
the next block at once; whatever is not so simple, the pool does.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, cast

import asyncpg

from db.errors import DomainError
from db.postgres.outages import NO_ANSWER, OVERLOADED, DatabaseUnavailable, Outages

GRACE: Final = 2.0  # seconds beyond its own limit in which a working server ends a statement
AT_HAND_SECONDS: Final = 60.0  # after which connections go back to the pool, which closes those that nobody needs
READ: Final = "read"


class StatementObserver(Protocol):
    """Is called with each statement, at least while something is traced: its text, how many seconds it took, and its
    error."""

    @property
    def is_tracing(self) -> bool: ...

    def add_statement(self, text: str, seconds: float, error: BaseException | None) -> None: ...


@dataclass(slots=True, eq=False)
class Readers:
    """The connections of one pool. `seconds`: how long one may take to be there."""

    pool: asyncpg.Pool
    seconds: float
    statements: StatementObserver | None = None
    waiting: Counter[str] = field(default_factory=lambda: Counter(read=0, write=0))  # for a connection
    at_hand: list[asyncpg.Connection] = field(default_factory=list)  # the one that is given next comes last
    _timer: asyncio.TimerHandle | None = None  # until they go back to the pool
    _releasing: asyncio.Task[None] | None = None
    _closing: bool = False

    @property
    def idle(self) -> int:
        return self.pool.get_idle_size() + len(self.at_hand)

    async def take(self) -> asyncpg.Connection:
        """Raises DatabaseUnavailable where there is none in time, and errors of the driver."""
        while self.at_hand:
            connection = self.at_hand.pop()
            if _is_open(connection):
                return connection
            await self._release(connection)
        self.waiting[READ] += 1
        try:
            return cast(asyncpg.Connection, await self.pool.acquire(timeout=self.seconds))
        except TimeoutError as error:
            all_in_use = self.pool.get_size() == self.pool.get_max_size() and self.pool.get_idle_size() == 0
            raise DatabaseUnavailable(OVERLOADED if all_in_use else NO_ANSWER, connection_lost=False) from error
        finally:
            self.waiting[READ] -= 1

    async def give_back(self, connection: asyncpg.Connection, error: BaseException | None) -> None:
        """After a block that ended with this error."""
        is_clean = error is None and _is_open(connection) and not connection.is_in_transaction()
        if is_clean and not self.waiting[READ] and not self._closing:
            self.at_hand.append(connection)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(AT_HAND_SECONDS, self._begin_release)
            return
        if isinstance(error, asyncpg.InternalClientError | TimeoutError):  # it cannot be used any more
            connection.terminate()
        await self._release(connection)

    async def _release(self, connection: asyncpg.Connection) -> None:
        with suppress(Exception):  # it is closed then, and the pool opens another
            await self.pool.release(connection, timeout=GRACE)  # type: ignore[arg-type]

    async def _release_all(self) -> None:
        self._timer, self.at_hand, released = None, [], self.at_hand
        for connection in released:
            await self._release(connection)

    def _begin_release(self) -> None:
        self._releasing = asyncio.create_task(self._release_all())

    def _stop(self) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """When nobody reads any more."""
        self._stop()
        await self._release_all()
        await self.pool.close()

    def terminate(self) -> None:
        """At once: whoever reads gets an error."""
        self._stop()
        self.pool.terminate()


@dataclass(slots=True, eq=False)
class Reading:
    """A connection for a block. Where there are `outages`, errors of the driver that mean one are raised as
    DatabaseUnavailable."""

    readers: Readers
    outages: Outages | None = None
    connection: asyncpg.Connection = field(init=False)
    is_traced: bool = False

    async def __aenter__(self) -> asyncpg.Connection:
        try:
            self.connection = await self.readers.take()
        except Exception as error:
            self._explain(error)
            raise
        statements = self.readers.statements
        if statements is not None and statements.is_tracing:
            self.is_traced = True
            self.connection.add_query_logger(self._report)
        return self.connection

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.is_traced:
            with suppress(asyncpg.InterfaceError):  # it was lost
                self.connection.remove_query_logger(self._report)
        await self.readers.give_back(self.connection, error)
        if isinstance(error, Exception):
            self._explain(error)

    def _explain(self, error: Exception) -> None:
        if self.outages is not None and not isinstance(error, DomainError):
            self.outages.reraise(error)

    def _report(self, statement: Any) -> None:
        assert self.readers.statements is not None
        self.readers.statements.add_statement(statement.query, statement.elapsed, statement.exception)


def _is_open(connection: asyncpg.Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # it was lost, and the pool has taken it back
        return False
