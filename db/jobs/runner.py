"""Running a claimed job: the work in one task, its heartbeat in another. The heartbeat renews the lease, writes the
progress, and learns of a cancellation or a lost claim."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum, auto
from typing import Final, Literal

from db.concurrency_limits import wait_for_event
from db.errors import Defect, DomainError, StorageError
from db.formats.names import storable
from db.jobs.batches import Fenced
from db.jobs.queue import Claim, finish, notify, release
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable, explain, is_rolled_back

SQL: Final = sql.load(__file__, "jobs.sql")
BEAT = 0.4  # seconds between heartbeats: progress reaches subscribers more than twice a second, less than four times
IDLE_BEATS = 3  # beats without progress, of which only the last is written
RETRY_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between attempts to write a job's end while the database is away
# Kinds of jobs that only write into storage: if it fails, they are repeated after these delays in seconds. Others fail
# at once, so that whoever started them learns why.
REPEATED = frozenset({"MANIFEST", "EXPORT"})
DELAYS = (2.0, 10.0, 60.0)

log = logging.getLogger(__name__)

Work = Callable[[Claim], Awaitable[None]]
# How a run of a job ended: the job's new status, RETURNED to the queue, or LOST to another worker.
Outcome = Literal["SUCCEEDED", "FAILED", "CANCELED", "RETURNED", "LOST"]


class Interruption(Enum):
    """Why a job was stopped before its end."""

    CLAIM_LOST = auto()
    CANCELED = auto()
    WORKER_STOPPING = auto()


async def run(database: Database, job: Claim, work: Work, *, stopping: asyncio.Event) -> Outcome:
    """Do the work, and write how it ended; stopped early if it is canceled, the claim is lost, or the worker stops."""
    task = asyncio.ensure_future(work(job))
    heartbeat = asyncio.create_task(_beat_until_interrupted(database, job, stopping))
    canceled, interruption = False, None
    outcome: Outcome = "LOST"
    try:
        await asyncio.wait({task, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            interruption = heartbeat.result()
    except asyncio.CancelledError:
        canceled, interruption = True, Interruption.WORKER_STOPPING
    task.cancel()
    heartbeat.cancel()
    error, _ = await asyncio.gather(task, heartbeat, return_exceptions=True)
    for pause in RETRY_PAUSES:
        try:
            outcome = await _conclude(database, job, interruption or error)
            break
        except Exception as failure:
            if not _is_of_database(failure):
                raise
            await asyncio.sleep(pause)
    else:
        log.warning("job %s is left to the sweep: the database is away", job.id)
    if canceled:
        raise asyncio.CancelledError
    return outcome


async def _conclude(database: Database, job: Claim, cause: Interruption | BaseException | None) -> Outcome:
    """Finish the job, or return it to the queue, if the claim is still valid."""
    outcome: Outcome = "RETURNED"
    match cause:
        case None:
            is_valid, outcome = await finish(database, job, "SUCCEEDED"), "SUCCEEDED"
        case Interruption.CANCELED:
            is_valid, outcome = await finish(database, job, "CANCELED"), "CANCELED"
        case Interruption.WORKER_STOPPING:
            is_valid = await release(database, job, refund_attempt=True)
        case Interruption.CLAIM_LOST | Fenced():
            is_valid = False
        case BaseException() if _is_of_database(cause):
            log.warning("job %s lost its database and returns to the queue: %s", job.id, type(cause).__name__)
            is_valid = await release(database, job, refund_attempt=isinstance(cause, DatabaseUnavailable))
        case StorageError() if job.kind in REPEATED and job.attempts <= len(DELAYS):
            delay = timedelta(seconds=DELAYS[max(job.attempts - 1, 0)])
            log.warning("job %s (%s) is repeated in %s: %s", job.id, job.kind, delay, cause.message)
            is_valid = await release(database, job, refund_attempt=False, after=delay)
        case DomainError():
            log.warning("job %s (%s) failed: %s: %s", job.id, job.kind, cause.code, storable(cause.message))
            is_valid, outcome = await finish(database, job, "FAILED", cause), "FAILED"
        case _:
            reference = secrets.token_hex(4)
            log.error("job %s failed, reference %s", job.id, reference, exc_info=cause)
            defect = Defect(f"Internal error; the server's log has it as {reference}.")
            is_valid, outcome = await finish(database, job, "FAILED", defect), "FAILED"
    if not is_valid:
        log.warning("job %s was taken over by another worker, or has ended", job.id)
        return "LOST"
    return outcome


def _is_of_database(error: BaseException) -> bool:
    if isinstance(error, DomainError):
        return isinstance(error, DatabaseUnavailable)
    return is_rolled_back(error) or explain(error) is not None


async def _beat_until_interrupted(database: Database, job: Claim, stopping: asyncio.Event) -> Interruption:
    """A heartbeat that cannot be written is made up for by the next."""
    idle = IDLE_BEATS
    while not stopping.is_set():
        if job.changed or idle >= IDLE_BEATS:
            idle = 0
            try:
                interruption = await _beat(database, job)
            except Exception as error:  # whatever it is, the work goes on
                log.warning("job %s: no heartbeat, %s", job.id, type(error).__name__)
            else:
                if interruption is not None:
                    return interruption
        idle += 1
        await wait_for_event(stopping, BEAT)
    return Interruption.WORKER_STOPPING


async def _beat(database: Database, job: Claim) -> Interruption | None:
    changed, job.changed = job.changed, False
    async with database.writing() as session:
        cancel_requested = await sql.value(
            session,
            SQL.beat,
            job_id=job.id,
            epoch=job.epoch,
            progress=job.progress,
            scanned=job.scanned,
            steps=int(changed),
        )
    if changed:
        async with database.reading() as connection:
            await notify(connection, "job", job.id)
            await notify(connection, "dataset", job.dataset_id)
    if cancel_requested is None:
        return Interruption.CLAIM_LOST
    return Interruption.CANCELED if cancel_requested else None
