"""Standbys, which answer queries: which of them are well, and which has what a client must see.

A position is a place in Postgres' write-ahead log. A server that has come to it has everything that was committed
before it. What is committed is given a position by asking the primary afterwards, once for all who wait.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableSequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import asyncpg

from db.postgres.outages import ANY_ERROR
from db.postgres.readers import Readers

log = logging.getLogger(__name__)

INTERVAL: Final = 0.25  # seconds between two looks at a server
UNKNOWN: Final = 2**64 - 1  # the position of what was committed when the primary could not be asked: no standby has it
CLIENTS: Final = 4_096  # two clients whose numbers are so far apart share a position, the later of theirs
POSITION: Final = (
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS position"
)
# Of a standby. One that was promoted stays where it was: what it writes itself is none of the primary's log.
REPLAYED: Final = "SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')"
# Of a server: which data it has, as another cluster's positions mean nothing here.
IDENTITY: Final = "SELECT system_identifier, current_database() FROM pg_control_system()"
STATE: Final = f"SELECT pg_is_in_recovery() AS is_standby, {POSITION}"
NOT_YET: Final = "it was not seen to follow the primary yet"

Connect = Callable[[], Awaitable[asyncpg.Connection]]
LOST: Final = (*ANY_ERROR, TimeoutError)


class Positions:
    """The positions to which clients have come, by their writes and by the events that were sent to them. Several
    processes share the slots, and each writes to its own row of them."""

    def __init__(self, slots: MutableSequence[int] | None = None, *, row: int = 0) -> None:
        """Those of a row are not known at first: a process that was killed may have committed something."""
        self._slots: MutableSequence[int] = [0] * CLIENTS if slots is None else slots
        self._row = range(row * CLIENTS, (row + 1) * CLIENTS)
        self._unknown = 1  # how often a position was not known
        for index in self._row:
            self._slots[index] = UNKNOWN

    def of(self, client: int) -> int:
        return max(self._slots[client % CLIENTS :: CLIENTS])

    def add(self, client: int, position: int) -> None:
        index = self._row[client % CLIENTS]
        self._unknown += position == UNKNOWN
        self._slots[index] = max(self._slots[index], position)

    @property
    def are_known(self) -> bool:
        return not self._unknown

    async def find_unknown(self, position: Callable[[], Awaitable[int]]) -> None:
        """Replace those that are not known by one that the primary says now."""
        if self.are_known:
            return
        count, now = self._unknown, await position()
        if now != UNKNOWN and count == self._unknown:  # else there is one that may be later
            for index in self._row:
                if self._slots[index] == UNKNOWN:
                    self._slots[index] = now
            self._unknown = 0


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is asked about itself: on a connection of its own."""

    connect: Connect
    pooled: bool  # by a transaction pooler, which may use another connection for each statement

    async def ask(self, connection: asyncpg.Connection, statement: str) -> asyncpg.Record:
        async with connection.transaction() if self.pooled else nullcontext():
            row = await connection.fetchrow(statement)
        assert row is not None
        return row


@dataclass(slots=True)
class Primary:
    """The server that all standbys follow, as it is asked for positions."""

    server: Server
    silence: float  # seconds without an answer, after which it counts as lost
    identity: asyncpg.Record | None = None
    _connection: asyncpg.Connection | None = None
    _next: asyncio.Task[int] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def position(self) -> int:
        """A position behind everything that was committed before this call, or UNKNOWN. Whoever calls while the
        primary is asked shares the question after that."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> int:
        async with self._turn:
            self._next = None
            try:
                async with asyncio.timeout(self.silence):
                    if self._connection is None:
                        self._connection = await self.server.connect()
                        self.identity = await self.server.ask(self._connection, IDENTITY)
                    state = await self.server.ask(self._connection, STATE)
            except LOST:
                self.close()
                return UNKNOWN
            position: int = UNKNOWN if state["is_standby"] else state["position"]
            return position

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


@dataclass(slots=True, eq=False)
class Standby:
    """A server that follows the primary. It answers while it is well: not silent, no primary itself, and not too far
    behind."""

    name: str  # for the log
    server: Server
    silence: float  # as of the primary
    open_readers: Callable[[], Awaitable[Readers]]
    readers: Readers | None = None
    is_well: bool = False
    position: int = 0  # to which it has come, or further
    reads: int = 0  # that run
    lag: float = inf  # seconds by which it is behind the primary, or more
    _aim: tuple[int, float] | None = None  # a position of the primary, and when it was there
    _reason: str | None = NOT_YET  # why it is left out

    async def watch(self, primary: Primary, max_lag: float) -> None:
        """Look at it again and again. Ends when it is canceled."""
        while True:
            try:
                async with asyncio.timeout(self.silence):
                    connection = await self.server.connect()
                try:
                    async with asyncio.timeout(self.silence):
                        identity = await self.server.ask(connection, IDENTITY)
                    while True:
                        async with asyncio.timeout(self.silence):
                            state = await self.server.ask(connection, STATE)
                        self.position = state["position"]
                        if primary.identity is not None:  # it has answered
                            await self._judge(state["is_standby"] and identity == primary.identity, max_lag)
                        await asyncio.sleep(INTERVAL)
                finally:
                    connection.terminate()
            except Exception as error:
                self._leave_out(f"it cannot be reached ({type(error).__name__})")
                self._aim, self.lag = None, inf
                if self.readers is not None:  # reads that wait for it go to the primary
                    self.readers.terminate()
                    self.readers = None
            await asyncio.sleep(INTERVAL)

    def compare(self, position: int, at: float) -> None:
        """Take note of where the primary was."""
        if self._aim is None:
            self._aim = position, at
        elif self.position >= self._aim[0]:
            self._aim, self.lag = (position, at), 0.0
        elif self.lag < inf:  # it has caught up once
            self.lag = at - self._aim[1]

    async def _judge(self, is_ours: bool, max_lag: float) -> None:
        if not is_ours:
            self._leave_out("it is no standby of the primary")
        elif self.lag == inf:
            self._leave_out(NOT_YET)
        elif self.lag > max_lag:
            self._leave_out(f"it is more than {max_lag:g} seconds behind the primary")
        else:
            if self.readers is None:
                self.readers = await self.open_readers()
            self.is_well = True
            if self._reason is not None:
                self._reason = None
                log.info("the standby %s answers queries", self.name)

    def _leave_out(self, reason: str) -> None:
        self.is_well = False
        if self._reason != reason:
            self._reason = reason
            log.warning("the standby %s is left out: %s", self.name, reason)


@dataclass(slots=True)
class Standbys:
    """All standbys, and the primary that they follow."""

    primary: Primary
    all: tuple[Standby, ...]
    positions: Positions
    max_lag: float

    def choose(self, position: int) -> Standby | None:
        """One that is well: of those that are known to have come to the position, the least busy; else the one that has
        come furthest, which is to be asked."""
        well = [standby for standby in self.all if standby.is_well]
        there = [standby for standby in well if standby.position >= position]
        if there:
            return min(there, key=lambda standby: standby.reads)
        return max(well, key=lambda standby: standby.position, default=None) if position != UNKNOWN else None

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None, None]:
        tasks = [asyncio.create_task(self._compare())]
        tasks += [asyncio.create_task(standby.watch(self.primary, self.max_lag)) for standby in self.all]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.primary.close()
            for standby in self.all:
                if standby.readers is not None:
                    standby.readers.terminate()

    async def _compare(self) -> None:
        """While the primary is away the standbys are as far behind it as before."""
        while True:
            position, now = await self.primary.position(), time.monotonic()
            if position != UNKNOWN:
                for standby in self.all:
                    standby.compare(position, now)
                await self.positions.find_unknown(self.primary.position)
            await asyncio.sleep(INTERVAL)


@dataclass(slots=True)
class Client:
    """Of the client of one operation: the position that it must see, which grows with what it sees and writes."""

    positions: Positions
    number: int  # of its token
    position: int
    may_use_standbys: bool
    seen: int = 0  # the position to which it has come in this operation

    def value(self, row: Any) -> Any:
        """Of a row that a statement of `with_position` gave, which the client sees."""
        self.seen = max(self.seen, row["position"])
        self.position = max(self.position, self.seen)
        return row[0]

    @property
    def shown(self) -> int:
        """What the client hears of: where nothing could be read, what it has to see."""
        return self.seen or self.position

    def advance(self, position: int) -> None:
        """Have all later operations of the client see what was committed before this position."""
        self.seen = position
        self.positions.add(self.number, position)


def with_position(text: str) -> str:
    """The statement with a column more: a position behind everything that it saw."""
    return f"SELECT read.*, {POSITION} FROM ({text}) AS read"
