"""The worker: takes jobs from the queue and does them. Any number of them, in servers or alone, on any machine.

A worker lives on one connection: the queue, its notices, and the lock that says "I am alive" stand on it. When it
breaks, the worker gives its jobs back and begins anew; when the process dies, others see it at once.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import assert_never, cast

import asyncpg
from pgqueuer import Job
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import FailingListenerError
from sqlalchemy.exc import SQLAlchemyError

from api.limits import caps, decoding_limits, removal_guard
from api.settings import Settings
from api.stores import stores
from db import idempotency, imports, jobs, manifests, purge, sources, sync, uploads
from db.decoding import decoders
from db.engine import Database, driver_url
from db.errors import DomainError, NotFound
from db.images import Caps
from db.jobs import Claim
from db.storage import Stores
from db.sync.options import Guard

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)  # the queue's own; a job it hands out twice is claimed once
LOOK = timedelta(seconds=5)  # between looks at the queue without a notice
SWEEP = 2.0  # seconds between rounds of tidying
RETRY = 1.0  # seconds before a broken connection is tried again
BEAT = "worker"  # the file in the data directory whose age tells a healthcheck that the worker works
BROKEN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, FailingListenerError)


async def run(database: Database, settings: Settings, *, stop: asyncio.Event) -> None:
    """Work until `stop`; then give back what is in hand, so that another worker goes on with it at once."""
    async with stores(settings) as opened, decoders(decoding_limits(settings)) as decoding:
        limits = caps(settings.limits, decoding)
        while not stop.is_set():
            try:
                await _shift(database, settings, opened, limits, stop)
            except BROKEN as error:
                log.warning("the worker lost its connection and begins anew: %s", type(error).__name__)
                await _pause(stop, RETRY)


@dataclass(slots=True)
class Worker:
    """One shift: from a connection to its end."""

    database: Database
    stores: Stores
    caps: Caps
    guard: Guard
    number: int
    slots: asyncio.Semaphore
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def do(self, carried: Job) -> None:
        """A job's id came out of the queue. What becomes of the job is told in its row, never to the queue."""
        async with self.slots:
            claim = await jobs.claim(self.database, int(carried.payload or b"0"), self.number)
            if claim is not None:
                await jobs.run(self.database, claim, self.work, stopping=self.over)

    async def work(self, job: Claim) -> None:
        match cast(jobs.Kind, job.kind):
            case "SYNC":
                store = self.stores.open(await self._input_path(job))
                await sync.run(self.database, job, store, self.caps, self.guard)
            case "PURGE":
                await purge.run(self.database, job, self.stores.open)
            case "MANIFEST":
                await manifests.run(self.database, job, self.stores.open)
            case "IMPORT":
                await imports.run(self.database, job, self.stores, self.caps)
            case unknown:
                assert_never(unknown)

    async def _input_path(self, job: Claim) -> str:
        async with self.database.reading() as connection:
            path = await connection.fetchval("SELECT input_path FROM dataset WHERE id = $1", job.dataset_id)
        if path is None:
            raise NotFound("The dataset was deleted.", code="DATASET_NOT_FOUND")
        return str(path)

    async def tidy(self) -> None:
        """Jobs of dead workers, deletions that wait for another try, uploads that nobody completed, and keys of
        yesterday, until the shift is over.

        Each by itself: a store that does not answer keeps nobody waiting but its own deletions.
        """
        await asyncio.gather(
            self._again_and_again(partial(jobs.sweep, self.database)),
            self._again_and_again(partial(sources.carry_out, self.database, self.stores.open)),
            self._again_and_again(partial(uploads.sweep, self.database, self.stores.open)),
            self._again_and_again(partial(idempotency.sweep, self.database)),
        )

    async def _again_and_again(self, work: Callable[[], Awaitable[object]]) -> None:
        while not self.over.is_set():
            await _attempt(work)
            await _pause(self.over, SWEEP)


async def _shift(database: Database, settings: Settings, stores: Stores, limits: Caps, stop: asyncio.Event) -> None:
    async with _connection(database, settings) as connection, jobs.alive(connection) as number:
        slots = asyncio.Semaphore(settings.jobs)
        worker = Worker(database, stores, limits, removal_guard(settings), number, slots)
        queue = QueueManager(Queries(AsyncpgDriver(connection)))
        queue.entrypoint(jobs.ENTRYPOINT)(worker.do)
        batch = max(1, settings.jobs // 2)
        working = asyncio.create_task(
            queue.run(
                dequeue_timeout=LOOK,
                batch_size=batch,
                max_concurrent_tasks=max(settings.jobs, 2 * batch),
                shutdown_on_listener_failure=True,
                heartbeat_timeout=LEASE,
            )
        )
        tidying = asyncio.create_task(worker.tidy())
        ending = asyncio.create_task(_end(connection, stop, worker.over, beat=settings.data_dir / BEAT))
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            worker.over.set()
            queue.shutdown.set()
            tidying.cancel()  # in the middle of anything: what it leaves undone it, or another, finds again
            await asyncio.gather(tidying, ending, return_exceptions=True)
            await working


async def _end(connection: asyncpg.Connection, stop: asyncio.Event, over: asyncio.Event, *, beat: Path) -> None:
    """Return when the worker is to stop, or its connection is gone."""
    while not (stop.is_set() or over.is_set() or connection.is_closed()):
        _touch(beat)
        await _pause(stop, 0.5)


def _touch(beat: Path) -> None:
    """A worker that cannot write this file works nevertheless."""
    with suppress(OSError):
        beat.parent.mkdir(parents=True, exist_ok=True)
        beat.touch()


@asynccontextmanager
async def _connection(database: Database, settings: Settings) -> AsyncGenerator[asyncpg.Connection, None]:
    url = driver_url(settings.listen_url or database.url)
    connection = await asyncpg.connect(url, timeout=database.limits.connect, command_timeout=database.limits.write)
    try:
        yield connection
    finally:
        with suppress(*BROKEN):
            await connection.close(timeout=1)


async def _attempt(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except (*BROKEN, DomainError) as error:
        log.warning("tidying is put off: %s", type(error).__name__)


async def _pause(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
