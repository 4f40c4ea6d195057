"""The worker: takes jobs from the queue and does them. Any number of them, in servers or alone, on any machine.

A worker lives on one connection: the queue, its notices, and the lock that says "I am alive" stand on it. When it
breaks, or anything else ends its shift, the worker gives its jobs back and begins anew; when the process dies, others
see it at once. Its pulse is a round trip on that connection, so that a worker that hangs does not pass for one that
works.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
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

from api.configuration import decoding_limits, image_limits, removal_guard, stores
from api.settings import Settings
from db import jobs
from db.datasets import purge
from db.errors import DomainError, NotFound
from db.exports import manifests
from db.formats.decoding import decoders
from db.formats.images import ImageLimits
from db.history import idempotency
from db.ingest import imports, sync, uploads
from db.ingest.sync.options import Guard
from db.jobs import Claim
from db.postgres.engine import Database, driver_url
from db.postgres.outages import DatabaseUnavailable, explain
from db.storage import Stores, object_deletion

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)  # the queue's own; a job it hands out twice is claimed once
LOOK = timedelta(seconds=5)  # between looks at the queue without a notice
SWEEP = 2.0  # seconds between rounds of tidying
RETRY, LONGEST_RETRY = 1.0, 30.0  # seconds before the next shift, doubled for each that did no good
PULSE = 1.0  # seconds between round trips on the worker's connection
SILENCE = 15.0  # seconds without a round trip, after which a connection is given up, and a worker does not work
BEAT = "worker"  # the file in the data directory whose age tells a healthcheck that the worker works


@dataclass(slots=True)
class Pulse:
    """When the worker's connection last answered. A new worker has as much time for it as one that falls silent."""

    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        self.last = time.monotonic()

    @property
    def is_alive(self) -> bool:
        return time.monotonic() - self.last < SILENCE


class ConnectionSilent(Exception):
    """The worker's connection stands, and nothing comes back on it."""


async def run(database: Database, settings: Settings, *, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Work until `stop`; then give back what is in hand, so that another worker goes on with it at once.

    A shift that ends for any other reason is followed by the next: only `stop`, or being canceled, ends a worker.
    """
    pulse, pause = pulse or Pulse(), RETRY
    async with stores(settings) as opened, decoders(decoding_limits(settings)) as decoding:
        limits = image_limits(settings.limits, decoding)
        while not stop.is_set():
            began = pulse.last
            try:
                await _shift(database, settings, opened, limits, stop, pulse)
            except asyncio.CancelledError:
                if _is_being_canceled():
                    raise
                log.error("the worker's shift was canceled by something in it; it begins anew")
            except Exception as error:
                _log_end_of_shift(error)
            if not stop.is_set():
                pause = RETRY if pulse.last > began else min(pause * 2, LONGEST_RETRY)
                await _pause(stop, pause)


def _is_being_canceled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _log_end_of_shift(error: Exception) -> None:
    if isinstance(error, DatabaseUnavailable | FailingListenerError | ConnectionSilent) or explain(error):
        log.warning("the worker lost its connection and begins anew: %s", type(error).__name__)
    else:
        log.error("the worker failed and begins anew", exc_info=error)


@dataclass(slots=True)
class Worker:
    """One shift: from a connection to its end."""

    database: Database
    stores: Stores
    caps: ImageLimits
    guard: Guard
    number: int
    slots: asyncio.Semaphore
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def do(self, carried: Job) -> None:
        """A job's id came out of the queue. What becomes of the job is told in its row, never to the queue."""
        with suppress(DatabaseUnavailable):  # the row is swept, and the job taken again
            await self._do(int(carried.payload or b"0"))

    async def _do(self, job_id: int) -> None:
        async with self.slots:
            claim = await jobs.claim(self.database, job_id, self.number)
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
            self._again_and_again(partial(object_deletion.delete_objects, self.database, self.stores.open)),
            self._again_and_again(partial(uploads.sweep, self.database, self.stores.open)),
            self._again_and_again(partial(idempotency.sweep, self.database)),
        )

    async def _again_and_again(self, work: Callable[[], Awaitable[object]]) -> None:
        while not self.over.is_set():
            await _attempt(work)
            await _pause(self.over, SWEEP)


async def _shift(
    database: Database, settings: Settings, stores: Stores, limits: ImageLimits, stop: asyncio.Event, pulse: Pulse
) -> None:
    """From a connection to its end. Returns when the worker is to stop; raises what ended it otherwise."""
    async with _connection(database, settings) as connection, jobs.register_worker(connection) as number:
        slots = asyncio.Semaphore(settings.jobs)
        worker = Worker(database, stores, limits, removal_guard(settings), number, slots)
        driver = AsyncpgDriver(connection)
        queue = QueueManager(Queries(driver))
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
        beating = asyncio.create_task(_beat(driver, stop, pulse, file=settings.data_dir / BEAT))
        try:
            await asyncio.wait({working, tidying, beating}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            worker.over.set()
            queue.shutdown.set()
            if not stop.is_set():
                connection.terminate()  # whatever ended the shift, nothing may wait for this connection any more
            tidying.cancel()  # in the middle of anything: what it leaves undone it, or another, finds again
            beating.cancel()
            ends = await asyncio.gather(beating, working, tidying, return_exceptions=True)
        _raise_first(ends)


def _raise_first(ends: Sequence[BaseException | None]) -> None:
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _beat(driver: AsyncpgDriver, stop: asyncio.Event, pulse: Pulse, *, file: Path) -> None:
    """Return when the worker is to stop; raise when its connection is gone. A shift that ends at once has no pulse."""
    while not stop.is_set():
        await _pause(stop, PULSE)
        try:
            async with asyncio.timeout(SILENCE):
                await driver.fetch("SELECT 1")
        except TimeoutError:
            raise ConnectionSilent from None
        pulse.beat()
        await asyncio.to_thread(_touch, file)


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
        with suppress(Exception):
            await connection.close(timeout=1)


async def _attempt(work: Callable[[], Awaitable[object]]) -> None:
    """What fails is tried again in the next round, whatever it was."""
    try:
        await work()
    except DomainError as error:
        log.warning("tidying is put off: %s", type(error).__name__)
    except Exception:
        log.exception("tidying failed, and is tried again")


async def _pause(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
