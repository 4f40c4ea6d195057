"""The queue: the job's row says everything about the job, and moves it from one state to the next.

    QUEUED ── claim ──▶ RUNNING ── finish ──▶ SUCCEEDED | FAILED | CANCELED
       ▲                   │
       └──── release ──────┘   the worker stops, or `sweep` finds it dead

A claim locks the row that is due first (FOR UPDATE SKIP LOCKED) and raises its epoch. Whoever changes the row of a
running job later does so only under that epoch: a worker that was taken for dead and comes back can write nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

import orjson
from sqlalchemy import DateTime, func, literal_column, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Defect, DomainError, NotFound
from db.jobs.notifications import notify_job, notify_workers
from db.jobs.workers import ORPHANED, SERVER_RESTARTED
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.models import Job

SQL: Final = sql.load(__file__, "jobs.sql")
Kind = Literal["SYNC", "PURGE", "MANIFEST", "IMPORT"]
ACTIVE: Final = ("QUEUED", "RUNNING")
# The kinds of jobs that clients see, and their GraphQL types.
TYPE_NAMES: Final[Mapping[str, str]] = {"SYNC": "SyncJob", "IMPORT": "ImportJob", "MANIFEST": "ManifestJob"}

# Both count claims in a row without a committed checkpoint between them. The first leaves out those that ended because
# the database was lost or the worker was stopped; the second bounds a job that itself brings the database down.
MAX_ATTEMPTS = 5
MAX_CLAIMS = 25
QUICK_CLAIMS = 5  # these follow one another at once; the pause before each later one is twice as long
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)

NOW: Final[Any] = func.clock_timestamp(type_=DateTime(timezone=True))
# Without parameters for the status, because Postgres would not use partial indexes in a generic plan.
FIRST_DUE: Final = (
    select(Job)
    .where(text("status = 'QUEUED'"), col(Job.due_at) <= func.now())
    .order_by(col(Job.due_at), col(Job.id))
    .limit(1)
    .with_for_update(skip_locked=True)
)
ORPHANS: Final[Any] = (
    select(Job, literal_column(SERVER_RESTARTED))
    .where(text("status = 'RUNNING'"), text(ORPHANED))
    .order_by(col(Job.id))
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class PublicJob:
    """A job that clients see."""

    id: int
    type: str

    @property
    def global_id(self) -> str:
        return f"{self.type}:{self.id}"


@dataclass(slots=True)
class Claim:
    """A job that a worker runs. `progress` and `scanned` are the latest figures; the heartbeat writes them."""

    id: int
    dataset_id: int
    kind: str
    epoch: int
    attempts: int
    claims: int
    arguments: dict[str, Any]
    checkpoint: dict[str, Any]
    requested_by: str
    progress: float = 0.0
    scanned: int = 0
    changed: bool = field(default=True)  # since the last heartbeat

    def report(self, *, progress: float | None = None, scanned: int | None = None) -> None:
        """Set the figures that the next heartbeat writes. They never fall."""
        self.progress = max(self.progress, min(progress or 0.0, 1.0))
        self.scanned = max(self.scanned, scanned or 0)
        self.changed = True


async def enqueue(
    session: AsyncSession,
    dataset_id: int,
    kind: str,
    *,
    requested_by: str,
    arguments: Mapping[str, Any] | None = None,
    version_id: int | None = None,
) -> int | None:
    """A new job, seen by workers when the transaction commits. None: one of its kind is active already."""
    job_id: int | None = await sql.value(
        session,
        SQL.insert_job,
        dataset_id=dataset_id,
        kind=kind,
        requested_by=requested_by,
        arguments=orjson.dumps(dict(arguments or {})).decode(),
        version_id=version_id,
    )
    if job_id is not None:
        await notify_workers(session)
    return job_id


async def active_ingest(session: AsyncSession, dataset_id: int) -> PublicJob | None:
    """The sync or import that writes into the dataset, of which there is one at most."""
    kinds = col(Job.kind).in_(("SYNC", "IMPORT"))
    active = select(Job.id, Job.kind).where(Job.dataset_id == dataset_id, kinds, col(Job.status).in_(ACTIVE))
    row = (await session.exec(active)).first()
    return None if row is None else PublicJob(row[0], TYPE_NAMES[row[1]])


def dataset_busy(active: PublicJob) -> Conflict:
    noun = active.type.removesuffix("Job").lower()
    return Conflict(
        f"The dataset has {'an' if noun == 'import' else 'a'} {noun} under way; wait until it ends, or cancel it, and "
        "repeat.",
        code="DATASET_BUSY",
        jobId=active.global_id,
    )


async def cancel(session: AsyncSession, job_id: int) -> None:
    """Cancel a job: at once if it is queued, within 5 s if it runs. One that has ended stays as it is."""
    job = await session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    await _cancel(session, job)


async def cancel_all(session: AsyncSession, dataset_id: int) -> None:
    """Cancel every active job of a dataset but its purge."""
    active = select(Job).where(Job.dataset_id == dataset_id, Job.kind != "PURGE", col(Job.status).in_(ACTIVE))
    for job in (await session.exec(active.order_by(col(Job.id)).with_for_update())).all():
        await _cancel(session, job)


async def _cancel(session: AsyncSession, job: Job) -> None:
    if job.cancel_requested or job.status not in ACTIVE:
        return
    job.cancel_requested = True
    if job.status == "QUEUED":
        await _end(session, job, "CANCELED")
    else:
        job.step += 1
        await session.flush()
        await notify_job(session, job.id)


async def claim(database: Database, worker: int) -> Claim | None:
    """The job that is due first, now running under a new epoch. None: no job is due.

    A job that was claimed too often without progress fails here.
    """
    while True:
        async with database.writing() as session:
            job = (await session.exec(FIRST_DUE)).first()
            if job is None:
                return None
            job.status, job.worker, job.heartbeat_at = "RUNNING", worker, NOW
            job.started_at = job.started_at or NOW
            job.epoch += 1
            job.step += 1
            job.attempts += 1
            job.claims += 1
            claimed = Claim(
                id=job.id,
                dataset_id=job.dataset_id,
                kind=job.kind,
                epoch=job.epoch,
                attempts=job.attempts,
                claims=job.claims,
                arguments=job.arguments,
                checkpoint=job.checkpoint,
                requested_by=job.requested_by,
            )
            await session.flush()
            await notify_job(session, job.id)
        if claimed.attempts > MAX_ATTEMPTS:
            reason = f"Its worker died {MAX_ATTEMPTS} times at the same place"
        elif claimed.claims > MAX_CLAIMS:
            reason = f"It was begun {MAX_CLAIMS} times and lost the database or its worker each time at the same place"
        else:
            return claimed
        await finish(database, claimed, "FAILED", Defect(f"{reason}; see the server's log."))


async def finish(database: Database, claim: Claim, status: str, error: DomainError | None = None) -> bool:
    """End a job. False: this claim is no longer valid."""
    async with database.writing() as session:
        job = await _lock(session, claim)
        if job is not None:
            await _end(session, job, status, error)
    return job is not None


async def release(database: Database, claim: Claim, *, refund_attempt: bool, after: timedelta = timedelta(0)) -> None:
    """Return a job to the queue, to be claimed `after` a while, or later if it makes no progress. `refund_attempt`:
    the job is not why it stopped, so this attempt does not count."""
    async with database.writing() as session:
        job = await _lock(session, claim)
        if job is not None:
            await _requeue(session, job, refund_attempt=refund_attempt, after=after)


async def sweep(database: Database) -> list[int]:
    """Return the jobs of dead workers to the queue. The ids of those that were not canceled meanwhile.

    When Postgres itself was restarted, that a worker lost its job proves nothing: the attempt does not count.
    """
    requeued = []
    async with database.writing() as session:
        for job, server_restarted in (await session.exec(ORPHANS)).all():
            await _requeue(session, job, refund_attempt=server_restarted)
            if job.status == "QUEUED":
                requeued.append(job.id)
    return requeued


async def _lock(session: AsyncSession, claim: Claim) -> Job | None:
    """The job's row, if the claim is still valid."""
    valid = select(Job).where(Job.id == claim.id, Job.epoch == claim.epoch, Job.status == "RUNNING")
    return (await session.exec(valid.with_for_update())).first()


async def _end(session: AsyncSession, job: Job, status: str, error: DomainError | None = None) -> None:
    job.status, job.worker, job.finished_at = status, None, NOW
    job.step += 1
    if status == "SUCCEEDED":
        job.progress = 1.0
    if error is not None:
        job.error_code, job.error_message, job.error_details = error.code, error.message, dict(error.details)
    await session.flush()
    await sql.run(session, SQL.clear_staging, job_id=job.id)
    await notify_job(session, job.id)


async def _requeue(session: AsyncSession, job: Job, *, refund_attempt: bool, after: timedelta = timedelta(0)) -> None:
    """Return the job to the queue, or end it if it was canceled."""
    if job.cancel_requested:
        await _end(session, job, "CANCELED")
        return
    job.status, job.worker, job.due_at = "QUEUED", None, NOW + max(after, pause_after(job.claims))
    job.epoch += 1
    job.step += 1
    if refund_attempt:
        job.attempts = max(job.attempts - 1, 0)
    await session.flush()
    await notify_job(session, job.id)
    await notify_workers(session)


def pause_after(claims: int) -> timedelta:
    """How long a job waits after so many claims without progress: one that brings the database down every time leaves
    the others some time in between."""
    if claims <= QUICK_CLAIMS:
        return timedelta(0)
    return min(FIRST_PAUSE * (1 << (claims - QUICK_CLAIMS - 1)), LONGEST_PAUSE)
