"""Running a claimed job: the work in one task, its pulse in another. The pulse keeps the lease, tells the progress,
and learns of a cancel request, a lost claim or a stopping worker."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum, auto

from db.errors import Defect, DomainError, StorageError
from db.jobs.batches import Fenced
from db.jobs.claims import Claim, finish, release
from db.jobs.notifications import notify_dataset, notify_job
from db.postgres.engine import Database
from db.postgres.outages import ROLLED_BACK, DatabaseUnavailable, explain, sqlstate
from db.postgres.sql import connection_of

log = logging.getLogger(__name__)

BEAT = 0.4  # seconds between pulses: progress reaches subscribers more than twice a second, less than four times
STILL = 3  # pulses without news between two heartbeats
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between the tries to write down a job's end while the database is away
# Kinds of jobs that nobody waits for: storage that fails is tried again, after these pauses in seconds. Others end at
# once, so that whoever started them learns why.
RETRIED = frozenset({"MANIFEST"})
DELAYS = (2.0, 10.0, 60.0)

PULSE = """
UPDATE job SET heartbeat_at = clock_timestamp(), progress = greatest(progress, $3::float8),
               scanned = greatest(scanned, $4), step = step + $5
WHERE id = $1 AND epoch = $2 AND status = 'RUNNING'
RETURNING cancel_requested
"""

Work = Callable[[Claim], Awaitable[None]]


class Verdict(Enum):
    """Why a job's work was stopped before its end."""

    LOST = auto()
    CANCELED = auto()
    STOPPING = auto()


async def run(database: Database, job: Claim, work: Work, *, stopping: asyncio.Event) -> None:
    """Do the work and bring the job to its end; given up early if it is canceled, lost, or the worker stops."""
    task = asyncio.ensure_future(work(job))
    pulse = asyncio.create_task(_pulse(database, job, stopping))
    canceled = False
    try:
        await asyncio.wait({task, pulse}, return_when=asyncio.FIRST_COMPLETED)
        verdict = None if task.done() else pulse.result()
    except asyncio.CancelledError:
        canceled, verdict = True, Verdict.STOPPING
    for part in (task, pulse):
        part.cancel()
    outcome, _ = await asyncio.gather(task, pulse, return_exceptions=True)
    await _conclude_patiently(database, job, outcome, verdict)
    if canceled:
        raise asyncio.CancelledError


async def _conclude_patiently(
    database: Database, job: Claim, outcome: BaseException | None, verdict: Verdict | None
) -> None:
    """What cannot be written down is left to the sweep, as if this worker were dead."""
    for pause in PAUSES:
        try:
            await _conclude(database, job, outcome, verdict)
        except Exception as error:
            if not _is_of_database(error):
                raise
            await asyncio.sleep(pause)
        else:
            return
    log.warning("job %s is left to the sweep: the database is away", job.id)


async def _conclude(database: Database, job: Claim, outcome: BaseException | None, verdict: Verdict | None) -> None:
    match verdict:
        case Verdict.CANCELED:
            await finish(database, job, "CANCELED")
        case Verdict.STOPPING:
            await release(database, job, refund_attempt=True)
        case Verdict.LOST:
            log.warning("job %s was taken over by another worker", job.id)
        case None:
            await _settle(database, job, outcome)


async def _settle(database: Database, job: Claim, error: BaseException | None) -> None:
    match error:
        case None:
            await finish(database, job, "SUCCEEDED")
        case Fenced():
            log.warning("job %s was taken over by another worker", job.id)
        case _ if _is_of_database(error):
            log.warning("job %s lost its database and goes back to the queue: %s", job.id, type(error).__name__)
            await release(database, job, refund_attempt=isinstance(error, DatabaseUnavailable))
        case StorageError() if job.kind in RETRIED and job.attempts <= len(DELAYS):
            delay = timedelta(seconds=DELAYS[max(job.attempts - 1, 0)])
            log.warning("job %s (%s) is tried again in %s: %s", job.id, job.kind, delay, error.message)
            await release(database, job, refund_attempt=False, after=delay)
        case DomainError():
            log.warning("job %s (%s) failed: %s: %s", job.id, job.kind, error.code, error.message)
            await finish(database, job, "FAILED", error)
        case _:
            reference = secrets.token_hex(4)
            log.error("job %s failed, reference %s", job.id, reference, exc_info=error)
            defect = Defect(f"Internal error; the server's log has it as {reference}.")
            await finish(database, job, "FAILED", defect)


def _is_of_database(error: BaseException) -> bool:
    if isinstance(error, DomainError):
        return isinstance(error, DatabaseUnavailable)
    return sqlstate(error) in ROLLED_BACK or explain(error) is not None


async def _pulse(database: Database, job: Claim, stopping: asyncio.Event) -> Verdict:
    """Beat until there is a reason to stop. A beat that Postgres does not answer is made up for by the next."""
    silent = STILL
    while not stopping.is_set():
        if job.moving or silent >= STILL:
            silent = 0
            try:
                verdict = await _beat(database, job)
            except Exception as error:  # whatever it is, the work goes on, and the next beat comes
                log.warning("job %s: no heartbeat, %s", job.id, type(error).__name__)
                verdict = None
            if verdict is not None:
                return verdict
        silent += 1
        try:
            await asyncio.wait_for(stopping.wait(), BEAT)
        except TimeoutError:
            continue
    return Verdict.STOPPING


async def _beat(database: Database, job: Claim) -> Verdict | None:
    moving, job.moving = job.moving, False
    async with database.writing() as session:
        connection = await connection_of(session)
        canceled = await connection.fetchval(PULSE, job.id, job.epoch, job.progress, job.scanned, int(moving))
    if moving:
        async with database.reading() as reader:
            await notify_job(reader, job.id)
            await notify_dataset(reader, job.dataset_id)
    if canceled is None:
        return Verdict.LOST
    return Verdict.CANCELED if canceled else None
