"""Subscriptions to jobs and datasets, whichever process changes them.

One connection per process listens; a notification names what changed, and one query reads everything that changed at
once. In addition, every subscribed topic is read every `POLL` seconds, which is all that a lost notification or
connection costs. A subscriber gets the latest state, never a backlog: a slow one skips states and delays nobody.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from db.concurrency_limits import LoopThrottle, SharedReads, wait_for_event
from db.jobs.queue import CHANNEL, notify
from db.postgres import sql
from db.postgres.engine import Database, open_connection

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between two reads of all subscribed topics
PAUSE = 0.05  # seconds between two reads, so that many notifications become few reads
RETRY = 0.5  # seconds before a lost connection is opened again

SQL: Final = sql.load(__file__)
# What is subscribed to, by kind. A notification of a dataset is for its events, too.
STATES: Final = {"job": SQL.jobs, "dataset": SQL.datasets, "events": SQL.events}


class Key(NamedTuple):
    kind: str
    id: int


class State(NamedTuple):
    step: int
    final: bool


@dataclass(slots=True)
class Topic:
    """The latest state of a job or dataset, and the event that wakes its subscribers."""

    state: State | None = None
    deleted: bool = False
    subscribers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, state: State | None) -> None:
        if state != self.state or state is None:
            self.state, self.deleted = state or self.state, state is None
            self.changed.set()
            self.changed = asyncio.Event()


@dataclass(slots=True)
class Events:
    """The subscriptions of this process. Made by `listening`."""

    database: Database
    reads: SharedReads = field(default_factory=SharedReads)
    throttle: LoopThrottle = field(default_factory=LoopThrottle)
    _topics: dict[Key, Topic] = field(default_factory=dict)
    _to_read: set[Key] = field(default_factory=set)
    _to_notify: set[int] = field(default_factory=set)  # ids of datasets
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def steps(self, kind: str, id: int) -> AsyncGenerator[int, None]:
        """A job's step, a dataset's revision, or how many events it had (kind `events`), now and after every change
        (some in between may be skipped); ends after the step that ended the job, or when the dataset is deleted."""
        key = Key(kind, id)
        topic = self._topics.setdefault(key, Topic())
        topic.subscribers += 1
        self._request([key])
        last: State | None = None
        try:
            while True:
                changed, state = topic.changed, topic.state
                if state is not None and state != last:
                    last = state
                    await self.throttle.wait()
                    yield state.step
                elif topic.deleted or (state is not None and state.final):
                    return
                else:
                    await changed.wait()
        finally:
            topic.subscribers -= 1
            if topic.subscribers == 0:
                self._topics.pop(key, None)

    def _request(self, keys: Iterable[Key]) -> None:
        self._to_read.update(keys)
        self._wake.set()

    def on_notification(self, payload: str) -> None:
        kind, _, number = payload.partition(":")
        kinds = ("dataset", "events") if kind == "dataset" else (kind,)
        if number.isdecimal() and (keys := {Key(each, int(number)) for each in kinds} & self._topics.keys()):
            self._request(keys)

    def dataset_changed(self, dataset_id: int) -> None:
        """Call this after the commit of a change: subscribers in this process are woken at once, those in other
        processes by a notification that is sent apart from the commit, one for many changes in a short time."""
        self._to_notify.add(dataset_id)
        self._wake.set()
        self.on_notification(f"dataset:{dataset_id}")

    async def read_forever(self) -> None:
        """Read what was requested; failures are logged and repeated."""
        poll_at = time.monotonic() + POLL
        while True:
            await wait_for_event(self._wake, poll_at - time.monotonic())
            if time.monotonic() >= poll_at:  # however often other topics are requested
                self._to_read.update(self._topics)
                poll_at = time.monotonic() + POLL
            self._wake.clear()
            keys, self._to_read = self._to_read & self._topics.keys(), set()
            dataset_ids, self._to_notify = sorted(self._to_notify), set()
            try:
                for kind in STATES:
                    await self._read(kind, [key.id for key in keys if key.kind == kind])
                for dataset_id in dataset_ids:
                    async with self.database.reading() as connection:
                        await notify(connection, "dataset", dataset_id)
            except Exception as error:
                log.warning("events could not be read, retrying: %s", type(error).__name__)
                self._to_read |= keys
                self._to_notify.update(dataset_ids)
                await asyncio.sleep(RETRY)
            await asyncio.sleep(PAUSE)

    async def _read(self, kind: str, ids: list[int]) -> None:
        if not ids:
            return
        async with self.database.reading() as connection:
            rows = {row["id"]: row for row in await sql.run(connection, STATES[kind], ids=ids)}
        for id in ids:
            if (topic := self._topics.get(Key(kind, id))) is not None:
                row = rows.get(id)
                topic.set(State(row["step"], row["final"]) if row else None)

    async def listen_forever(self, url: str) -> None:
        """Listen; after a lost connection open another, and read everything that may have been missed."""
        while True:
            lost = asyncio.Event()
            try:
                connection = await open_connection(url, timeout=self.database.limits.connect)
                try:
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    await connection.add_listener(CHANNEL, lambda *arguments: self.on_notification(str(arguments[-1])))
                    self._request(self._topics)
                    await lost.wait()
                finally:
                    connection.terminate()
            except Exception as error:
                log.warning("no notifications arrive now, polling goes on: %s", type(error).__name__)
            await asyncio.sleep(RETRY)


@asynccontextmanager
async def listening(database: Database, *, url: str | None = None) -> AsyncGenerator[Events, None]:
    """The events of a process. `url`: a direct connection, where the database's goes through a transaction pooler."""
    events = Events(database)
    tasks = [
        asyncio.create_task(events.read_forever()),
        asyncio.create_task(events.listen_forever(url or database.url)),
    ]
    try:
        yield events
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
