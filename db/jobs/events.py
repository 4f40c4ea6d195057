"""Who waits for a job or a dataset to move, and how he hears of it, from whichever process moved it.

One connection per process listens; a notice names what moved, and one query reads all that moved at once. Beneath it
every topic is read again every `POLL` seconds, so a lost notice, or a lost connection, costs a moment and no more.
A subscriber is given the latest state, never a queue of old ones: a slow one skips, and holds nobody up.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import asyncpg

from db.concurrency import LoopThrottle, SharedReads
from db.jobs.notices import CHANNEL, TOPIC, announce
from db.postgres.engine import Database, driver_url

__all__ = ["Events", "announce_change", "listening"]

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between two readings of everything that somebody follows
PAUSE = 0.05  # seconds between two readings, so that a flood of notices becomes few of them
RETRY = 0.5  # seconds before a lost connection is tried again

Kind = Literal["job", "change"]
JOBS = "SELECT id, step, status IN ('SUCCEEDED', 'FAILED', 'CANCELED') AS over FROM job WHERE id = ANY($1::bigint[])"
DATASETS = "SELECT id, revision AS step, deleted_at IS NOT NULL AS over FROM dataset WHERE id = ANY($1::bigint[])"


class Key(NamedTuple):
    kind: Kind
    id: int


class State(NamedTuple):
    """The number that grows with every step, and whether it was the last."""

    step: int
    over: bool


@dataclass(slots=True)
class Topic:
    """A mailbox with room for one letter, read by any number of subscribers."""

    state: State | None = None
    gone: bool = False
    readers: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, state: State | None) -> None:
        if state != self.state or state is None:
            self.state, self.gone = state or self.state, state is None
            self.moved.set()
            self.moved = asyncio.Event()


@dataclass(slots=True)
class Events:
    """What this process follows. Made by `listening`."""

    database: Database
    reads: SharedReads = field(default_factory=SharedReads)
    throttle: LoopThrottle = field(default_factory=LoopThrottle)
    _topics: dict[Key, Topic] = field(default_factory=dict)
    _asked: set[Key] = field(default_factory=set)
    _changed: set[int] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def job_steps(self, job_id: int) -> AsyncGenerator[int, None]:
        """The job's step now, and whenever it moved; ends after the step that ended the job."""
        return self._follow(Key("job", job_id))

    def dataset_steps(self, dataset_id: int) -> AsyncGenerator[int, None]:
        """The dataset's revision now, and whenever it grew (revisions in between may be skipped); ends with it."""
        return self._follow(Key("change", dataset_id))

    async def _follow(self, key: Key) -> AsyncGenerator[int, None]:
        topic = self._topics.setdefault(key, Topic())
        topic.readers += 1
        self._ask([key])
        seen: State | None = None
        try:
            while True:
                moved, state = topic.moved, topic.state
                if state is not None and state != seen:
                    seen = state
                    await self.throttle.wait()
                    yield state.step
                elif topic.gone or (state is not None and state.over):
                    return
                else:
                    await moved.wait()
        finally:
            topic.readers -= 1
            if topic.readers == 0:
                self._topics.pop(key, None)

    def _ask(self, keys: Iterable[Key]) -> None:
        self._asked.update(keys)
        self._wake.set()

    def heard(self, payload: str) -> None:
        """A notice: worth a reading if somebody here follows what it names."""
        kind, _, number = payload.partition(":")
        if kind in ("job", "change") and number.isdecimal():
            key = Key("job" if kind == "job" else "change", int(number))
            if key in self._topics:
                self._ask([key])

    def changed(self, dataset_id: int) -> None:
        """A change was committed here. Who follows the dataset here looks at once; other processes are told apart
        from the commit, and of a flood of changes only now and then."""
        self._changed.add(dataset_id)
        self._wake.set()
        self.heard(TOPIC.dataset(dataset_id))

    async def read_on(self) -> None:
        """Read what moved, for ever: whatever fails is tried again."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), POLL)
            except TimeoutError:
                self._asked.update(self._topics)
            self._wake.clear()
            asked, self._asked = self._asked & self._topics.keys(), set()
            changed, self._changed = self._changed, set()
            try:
                await self._read(asked)
                for dataset_id in sorted(changed):
                    await announce_change(self.database, dataset_id)
            except Exception as error:
                log.warning("events could not be read, and will be again: %s", type(error).__name__)
                self._asked |= asked
                await asyncio.sleep(RETRY)
            await asyncio.sleep(PAUSE)

    async def _read(self, keys: set[Key]) -> None:
        for kind, statement in (("job", JOBS), ("change", DATASETS)):
            ids = [key.id for key in keys if key.kind == kind]
            if not ids:
                continue
            async with self.database.reading() as connection:
                rows = {row["id"]: row for row in await connection.fetch(statement, ids)}
            for key in keys:
                if key.kind == kind and (topic := self._topics.get(key)) is not None:
                    row = rows.get(key.id)
                    topic.set(State(row["step"], row["over"]) if row else None)

    async def listen_on(self, url: str) -> None:
        """Listen, for ever; after every loss connect again, and read everything that may have been missed."""
        while True:
            try:
                await self._listen(url)
            except Exception as error:
                log.warning("notices are not heard now, polling goes on: %s", type(error).__name__)
            await asyncio.sleep(RETRY)

    async def _listen(self, url: str) -> None:
        connection = await asyncpg.connect(driver_url(url), timeout=self.database.limits.connect)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *notice: self.heard(str(notice[-1])))
            self._ask(self._topics)
            await lost.wait()
        finally:
            connection.terminate()


@asynccontextmanager
async def listening(database: Database, *, url: str | None = None) -> AsyncGenerator[Events, None]:
    """Events of a process. `url`: a direct connection, where the database's goes through a transaction pooler."""
    events = Events(database)
    tasks = [asyncio.create_task(events.read_on()), asyncio.create_task(events.listen_on(url or database.url))]
    try:
        yield events
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def announce_change(database: Database, dataset_id: int) -> None:
    """Tell subscribers of a dataset to look, after the commit and apart from it. Without it they look every `POLL`."""
    async with database.reading() as connection:
        await announce(connection, TOPIC.dataset(dataset_id))
