"""The worker: claims jobs and runs them. Any number of workers may run, in servers or alone, on any machine.

A worker lives on one connection, which holds the lock that marks it as alive and receives notifications of new jobs.
When that connection breaks, or anything else ends the session, the worker returns its jobs to the queue and starts
another session; when the process dies, other workers see it at once. A round trip each second on that connection shows
whether the worker works or hangs.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import assert_never, cast

import asyncpg

from api.configuration import allowed_models, decoding_limits, stores
from api.observation.observer import Observer
from api.settings import Settings
from db import jobs, vision
from db.auto_labelling import job as auto_labelling
from db.concurrency_limits import wait_for_event
from db.datasets import purge
from db.embeddings import indexes
from db.embeddings.looks import LookHasher
from db.errors import DomainError, NotFound
from db.exports import files as exported_files
from db.exports import job as exports
from db.exports import manifests
from db.formats.decoding import Decoders, decoders
from db.formats.images import ImageLimits
from db.history import idempotency
from db.identity import urls
from db.ingest import imports, sync, uploads
from db.ingest.sync.options import Guard
from db.jobs import Claim
from db.postgres.engine import Database, open_connection
from db.postgres.models import Dataset
from db.postgres.outages import DatabaseUnavailable, explain
from db.storage import Stores, object_deletion

log = logging.getLogger(__name__)

POLL = 2.0  # seconds between attempts to claim a job without a notification
SWEEP = 2.0  # seconds between two runs of each sweep
RETRY, LONGEST_RETRY = 1.0, 30.0  # seconds before the next session, doubled after each that did not work
PULSE = 1.0  # seconds between round trips on the worker's connection
SILENCE = 15.0  # seconds without a round trip, after which a connection is given up and a worker counts as not working
PULSE_FILE = "worker"  # in the data directory; a healthcheck reads its age


@dataclass(slots=True)
class Pulse:
    """When the worker's connection last answered. A new worker has as much time for it as one that falls silent."""

    last: float = field(default_factory=time.monotonic)

    @property
    def is_alive(self) -> bool:
        return time.monotonic() - self.last < SILENCE


async def run(
    database: Database,
    settings: Settings,
    *,
    stop: asyncio.Event,
    pulse: Pulse | None = None,
    observer: Observer = Observer(),  # noqa: B008 (immutable)
) -> None:
    """Work until `stop`, then return the running jobs to the queue, so that another worker continues them at once.

    A session that ends for any other reason is followed by the next: only `stop`, or cancellation, ends a worker.
    """
    pulse, pause = pulse or Pulse(), RETRY
    abilities: tuple[jobs.Ability, ...] = ("VISION",) if vision.is_available() else ()
    async with (
        stores(settings, observer.on_store_call) as opened,
        decoders(decoding_limits(settings)) as decoding,
    ):
        observer.watch_decoders("worker", decoding)
        limits = ImageLimits(
            size=settings.limits.image_file,
            pixels=settings.limits.image_pixels,
            side=settings.limits.image_side,
            is_complete=decoding.is_complete,
            check=decoding.check,
        )
        while not stop.is_set():
            last_beat = pulse.last
            try:
                async with (
                    _connection(database, settings) as connection,
                    jobs.register_worker(connection, abilities) as number,
                ):
                    worker = Worker(
                        *(database, settings, observer, opened, decoding, limits, connection, number, stop, pulse),
                        abilities=abilities,
                    )
                    await worker.run()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling() > 0:
                    raise
                log.error("the worker's session was canceled by something in it; it starts again")
            except Exception as error:
                if isinstance(error, DatabaseUnavailable) or explain(error):
                    log.warning("the worker lost its connection and starts again: %s", type(error).__name__)
                else:
                    log.error("the worker failed and starts again", exc_info=error)
            if not stop.is_set():
                pause = RETRY if pulse.last > last_beat else min(pause * 2, LONGEST_RETRY)
                await wait_for_event(stop, pause)


@dataclass(slots=True)
class Worker:
    """One session of a worker: from a connection to its end."""

    database: Database
    settings: Settings
    observer: Observer
    stores: Stores
    decoders: Decoders
    image_limits: ImageLimits
    connection: asyncpg.Connection
    number: int
    stop: asyncio.Event
    pulse: Pulse
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # there may be a job to claim, or the session ends
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    abilities: tuple[jobs.Ability, ...] = ()  # beyond those that all workers have
    can_claim: bool = True  # whether the last attempt to claim a job succeeded
    turns: jobs.Turns = field(default_factory=jobs.Turns)
    of_readers: int = 0  # jobs, running or just being claimed, that tokens that may only read can start

    async def run(self) -> None:
        """Return when the worker is to stop; raise what ended the session otherwise."""
        await self.connection.add_listener(jobs.QUEUE_CHANNEL, lambda *_: self.wake.set())
        url, size = self.settings.listen_url or self.database.url, self.settings.limits.image_file
        running = [asyncio.create_task(self._run_jobs()) for _ in range(self.settings.jobs)]
        sweeps = (  # independent: a store that does not answer delays only its own deletions
            self._repeat(jobs.sweep, self.database),
            self._repeat(object_deletion.delete_objects, self.database, self.stores.open),
            self._repeat(uploads.sweep, self.database, self.stores.open),
            self._repeat(uploads.parts.sweep, self.database, self.stores.open),
            self._repeat(exported_files.sweep, self.database, self.stores.open),
            self._repeat(idempotency.sweep, self.database),
            self._repeat(LookHasher(self.database, url, self.stores.open, self.decoders, size).sweep),
            self._repeat(indexes.sweep, self.database, url),
        )
        others = [asyncio.create_task(each) for each in (*sweeps, self._beat())]
        try:
            await asyncio.wait([*running, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stopping.set()
            self.wake.set()
            if not self.stop.is_set():
                self.connection.terminate()  # nothing may wait for this connection any more
            for task in others:
                task.cancel()  # whatever a sweep leaves undone, the next one finds
            outcomes = await asyncio.gather(*others, *running, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _beat(self) -> None:
        """Return when the worker is to stop; raise when its connection is lost."""
        file = self.settings.data_dir / PULSE_FILE
        while not self.stop.is_set():
            await wait_for_event(self.stop, PULSE)
            async with asyncio.timeout(SILENCE):
                await self.connection.fetchval("SELECT 1")
            if not self.can_claim:
                continue
            self.pulse.last = time.monotonic()
            with suppress(OSError):  # a worker that cannot write this file works nevertheless
                await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
                await asyncio.to_thread(file.touch)

    async def _run_jobs(self) -> None:
        """Claim jobs and run them one after the other, until the session ends and the last is back in the queue."""
        while not self.stopping.is_set():
            self.wake.clear()
            job = await self._claim()
            if job is None:
                await wait_for_event(self.wake, POLL)
                continue
            self.wake.set()  # there may be more jobs for the others that wait
            try:
                with self.observer.job(job.kind) as ended:
                    ended(await jobs.run(self.database, job, self._work, stopping=self.stopping))
            except Exception:
                log.exception("the end of job %s could not be written; it is left to the sweep", job.id)
            finally:
                self.of_readers -= job.is_of_reader

    async def _claim(self) -> Claim | None:
        """The next job; of those that come last only if they leave one of several slots to the others. A failure does
        not end the session, which would interrupt running jobs: the next poll tries again, and until one succeeds the
        worker counts as not working."""
        job, self.can_claim = None, False
        of_readers = self.of_readers < max(1, self.settings.jobs - 1)
        self.of_readers += of_readers
        try:
            job = await jobs.claim(self.database, self.number, self.abilities, of_readers=of_readers, turns=self.turns)
        except DatabaseUnavailable:
            return None
        except Exception:
            log.exception("no job could be claimed, and the next poll tries again")
            return None
        finally:
            self.of_readers -= of_readers and not (job is not None and job.is_of_reader)
        self.can_claim = True
        return job

    async def _work(self, job: Claim) -> None:
        match cast(jobs.Kind, job.kind):
            case "SYNC":
                async with self.database.writing() as session:
                    dataset = await session.get(Dataset, job.dataset_id)
                if dataset is None:
                    raise NotFound("The dataset was deleted.", code="DATASET_NOT_FOUND")
                store = self.stores.open(dataset.input_path)
                guard = Guard(percent=self.settings.removal_percent, samples=self.settings.removal_samples)
                await sync.run(self.database, job, store, self.image_limits, guard)
            case "PURGE":
                await purge.run(self.database, job, self.stores.open)
            case "MANIFEST":
                await manifests.run(self.database, job, self.stores.open)
            case "EXPORT":
                folder = self.settings.data_dir / "exports"
                await exports.run(self.database, job, self.stores, await self._secret(), folder)
            case "IMPORT":
                await imports.run(self.database, job, self.stores, self.image_limits)
            case "AUTO_LABEL":
                allowed, seconds = allowed_models(self.settings, self.stores.disks), self.settings.timeouts.model
                secret = await self._secret()
                tools = auto_labelling.Tools(self.stores, self.decoders, secret, allowed, seconds)
                await auto_labelling.run(self.database, job, tools)
            case unknown:
                assert_never(unknown)

    async def _secret(self) -> bytes:
        """The secret of signed URLs, as the servers have it."""
        if self.settings.secret is not None:
            return self.settings.secret.encode()
        async with self.database.writing() as session:
            return await urls.secret(session)

    async def _repeat(self, sweep: Callable[..., Awaitable[object]], *arguments: object) -> None:
        while not self.stopping.is_set():
            try:
                await sweep(*arguments)
            except DomainError as error:
                log.warning("a sweep is put off: %s", type(error).__name__)
            except Exception:
                log.exception("a sweep failed, and is repeated")
            await wait_for_event(self.stopping, SWEEP)


@asynccontextmanager
async def _connection(database: Database, settings: Settings) -> AsyncGenerator[asyncpg.Connection, None]:
    url, limits = settings.listen_url or database.url, database.limits
    connection = await open_connection(url, timeout=limits.connect, command_timeout=limits.write)
    try:
        yield connection
    finally:
        with suppress(Exception):
            await connection.close(timeout=1)
