"""A worker's hold on a job: taken with a new epoch, given up by finishing or releasing it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import orjson

from db.errors import Defect, DomainError
from db.jobs.carrier import carry
from db.jobs.notifications import notify_job
from db.jobs.requests import CLEAR
from db.jobs.workers import ORPHANED, OUTLIVED_SERVER
from db.postgres.engine import Database
from db.postgres.sql import connection_of

Kind = Literal["SYNC", "PURGE", "MANIFEST", "IMPORT"]

# Both count claims in a row without a committed batch between them. The first leaves out those that ended because the
# database was lost or the worker was stopped; the second bounds a job that itself brings the database down.
MAX_ATTEMPTS = 5
MAX_CLAIMS = 25
QUICK_CLAIMS = 5  # that follow one another at once; the pauses after them are doubled each time
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)

CLAIM = f"""
UPDATE job SET status = 'RUNNING', epoch = epoch + 1, worker = $2, step = step + 1, claims = claims + 1,
               attempts = CASE WHEN status = 'RUNNING' AND {OUTLIVED_SERVER} THEN attempts ELSE attempts + 1 END,
               heartbeat_at = clock_timestamp(), started_at = coalesce(started_at, clock_timestamp())
WHERE id = $1 AND (status = 'QUEUED' OR (status = 'RUNNING' AND {ORPHANED})) AND NOT cancel_requested
RETURNING id, dataset_id, kind, epoch, attempts, claims, arguments::text, checkpoint::text, requested_by
"""

FINISH = """
UPDATE job SET status = $3, error_code = $4, error_message = $5, error_details = $6::text::jsonb,
               finished_at = clock_timestamp(), worker = NULL,
               step = step + 1, progress = CASE $3 WHEN 'SUCCEEDED' THEN 1 ELSE progress END
WHERE id = $1 AND epoch = $2 AND status = 'RUNNING'
RETURNING id
"""

RELEASE = """
UPDATE job SET status = 'QUEUED', epoch = epoch + 1, worker = NULL, step = step + 1,
               attempts = CASE WHEN $3 THEN greatest(attempts - 1, 0) ELSE attempts END
WHERE id = $1 AND epoch = $2 AND status = 'RUNNING'
RETURNING claims
"""


@dataclass(slots=True)
class Claim:
    """A job in a worker's hands. `progress` and `scanned` are live figures; the runner tells them to the world."""

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
    moving: bool = field(default=True)

    def report(self, *, progress: float | None = None, scanned: int | None = None) -> None:
        """Tell how far the work is; the next pulse carries it on. Never falls."""
        self.progress = max(self.progress, min(progress or 0.0, 1.0))
        self.scanned = max(self.scanned, scanned or 0)
        self.moving = True


async def claim(database: Database, job_id: int, worker: int) -> Claim | None:
    """Take a job that waits, or whose worker is dead. None: it is done, or somebody alive has it."""
    async with database.writing() as session:
        connection = await connection_of(session)
        row = await connection.fetchrow(CLAIM, job_id, worker)
        if row is not None:
            await notify_job(connection, job_id)
    if row is None:
        return None
    taken = Claim(
        id=row["id"],
        dataset_id=row["dataset_id"],
        kind=row["kind"],
        epoch=row["epoch"],
        attempts=row["attempts"],
        claims=row["claims"],
        arguments=orjson.loads(row["arguments"]),
        checkpoint=orjson.loads(row["checkpoint"]),
        requested_by=row["requested_by"],
    )
    if taken.attempts > MAX_ATTEMPTS:
        reason = f"Its worker died {MAX_ATTEMPTS} times at the same place"
    elif taken.claims > MAX_CLAIMS:
        reason = f"It was begun {MAX_CLAIMS} times and lost the database, or its worker, at the same place each time"
    else:
        return taken
    await finish(database, taken, "FAILED", Defect(f"{reason}; the server's log may tell why."))
    return None


def pause_after(claims: int) -> timedelta:
    """How long a job waits that ran so many times without getting on: one that brings the database down every time
    leaves the others some time in between."""
    if claims <= QUICK_CLAIMS:
        return timedelta(0)
    return min(FIRST_PAUSE * (1 << (claims - QUICK_CLAIMS - 1)), LONGEST_PAUSE)


async def finish(database: Database, job: Claim, status: str, error: DomainError | None = None) -> bool:
    """Bring a job to its end. False: it is no longer ours."""
    async with database.writing() as session:
        connection = await connection_of(session)
        told = (error.code, error.message, orjson.dumps(error.details).decode()) if error else (None, None, None)
        if await connection.fetchval(FINISH, job.id, job.epoch, status, *told) is None:
            return False
        for statement in CLEAR:
            await connection.execute(statement, job.id)
        await notify_job(connection, job.id)
    return True


async def release(database: Database, job: Claim, *, refund_attempt: bool, after: timedelta = timedelta(0)) -> None:
    """Return a job to the queue, to be claimed `after` a while, or later if it makes no progress. `refund_attempt`:
    the job is not why it stopped, so this attempt does not count."""
    async with database.writing() as session:
        connection = await connection_of(session)
        claims = await connection.fetchval(RELEASE, job.id, job.epoch, refund_attempt)
        if claims is not None:
            await carry(connection, job.id, max(after, pause_after(claims)))
