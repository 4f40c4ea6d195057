"""The queue: a job's row has its state, and statements here move it from one state to the next.

    QUEUED ── claim ──▶ RUNNING ── finish ──▶ SUCCEEDED | FAILED | CANCELED
       ▲                   │
       └──── release ──────┘   the worker stops, or `sweep` finds it dead

A claim locks the row that is due first (FOR NO KEY UPDATE SKIP LOCKED) and raises its epoch. Exports and dry runs of
syncs, which change nothing and which a token that may only read starts, come after all others. Whoever changes the row
of a running job later does so only under that epoch: a worker that was taken for dead and comes back can write nothing.

A worker holds a session lock under its own number as long as its connection lasts. Postgres frees the lock the moment
the process dies, on this machine or another, so that its jobs are taken over at once; where a network keeps a dead
connection open, the age of the heartbeat (`LEASE`) decides.

A NOTIFY names what changed and carries no data; listeners poll too, so that a lost one costs a few seconds. Do not
notify in a transaction that labels: commits that notify wait for one another.
"""

import secrets
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, get_args

import asyncpg
import orjson
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Defect, DomainError, Unavailable
from db.formats.names import storable
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.models import Job
from db.postgres.outages import ANY_ERROR

SQL: Final = sql.load(__file__, "jobs.sql")
Kind = Literal["SYNC", "PURGE", "MANIFEST", "IMPORT", "EXPORT", "AUTO_LABEL"]
Ability = Literal["VISION"]  # what a job may need of its worker, and not every worker has
ACTIVE: Final = ("QUEUED", "RUNNING")
# The kinds of jobs that clients see, and their GraphQL types.
TYPE_NAMES: Final[Mapping[str, str]] = {
    "SYNC": "SyncJob",
    "IMPORT": "ImportJob",
    "MANIFEST": "ManifestJob",
    "EXPORT": "ExportJob",
    "LARGE_CHANGE": "LargeChangeJob",
    "AUTO_LABEL": "AutoLabelJob",
}
FOREGROUND: Final = "LARGE_CHANGE"  # the kind of jobs that requests do themselves: they are never queued

# Both count claims in a row without a committed checkpoint between them. The first leaves out those that ended because
# the database was lost or the worker was stopped; the second bounds a job that itself brings the database down.
MAX_ATTEMPTS = 5
MAX_CLAIMS = 25
LONG_TIMEOUT = 3_600.0  # seconds
LEASE: Final = timedelta(seconds=15)  # without a heartbeat, after which a job is taken over
PATIENCE: Final = timedelta(minutes=10)  # since an export was due, after which it takes turns with jobs of others
SERVED: Final = 100  # tokens that a worker remembers
LOCK_CLASS: Final = 2  # of the workers' advisory locks
ABILITY_CLASS: Final = 7  # of the locks that workers share which have an ability
ABILITIES: Final[Mapping[Ability, int]] = {"VISION": 1}  # and the numbers of these locks
MAX_INTEGER: Final = 2**53 - 1  # what every program reads from JSON as it is
STOPPED: Final = "The server was stopped before the change was done, and nothing was changed. Send it again."
CHANNEL: Final = "labelgraph"  # a job or a dataset changed
QUEUE_CHANNEL: Final = "labelgraph_queue"  # a job was queued


@dataclass(slots=True)
class Claim:
    """A job that a worker runs. `progress` and `scanned` are the latest figures; the heartbeat writes them.
    `is_of_reader`: a token that may only read can have started it."""

    id: int
    dataset_id: int
    kind: str
    epoch: int
    attempts: int
    claims: int
    arguments: dict[str, Any]
    checkpoint: dict[str, Any]
    requested_by: str
    is_of_reader: bool = False
    progress: float = 0.0
    scanned: int = 0
    changed: bool = field(default=True)  # since the last heartbeat

    def report(self, *, progress: float | None = None, scanned: int | None = None) -> None:
        """Set the figures that the next heartbeat writes. They never fall."""
        self.progress = max(self.progress, min(progress or 0.0, 1.0))
        self.scanned = max(self.scanned, scanned or 0)
        self.changed = True


@dataclass(slots=True)
class Turns:
    """What a worker remembers to be fair between those whose exports and dry runs of syncs it runs. `served`: names of
    tokens, the last one at the end; `last_of_reader`: whether the last job that it claimed was such a one."""

    served: list[str] = field(default_factory=list)
    last_of_reader: bool = False

    def note(self, claim: Claim) -> None:
        self.last_of_reader = claim.is_of_reader
        if claim.is_of_reader:
            self.served = [*(name for name in self.served if name != claim.requested_by), claim.requested_by][-SERVED:]


async def enqueue(
    session: AsyncSession,
    dataset_id: int,
    kind: str,
    *,
    requested_by: str,
    arguments: Mapping[str, Any] | None = None,
    version_id: int | None = None,
    needs: Ability | None = None,
) -> int | None:
    """A new job, seen by workers when the transaction commits. None: one of its kind is active already. `needs`: only
    workers with this ability run it."""
    job_id: int | None = await sql.value(
        session,
        SQL.insert_job,
        dataset_id=dataset_id,
        kind=kind,
        requested_by=requested_by,
        arguments=orjson.dumps(dict(arguments or {})).decode(),
        version_id=version_id,
        needs=needs,
        ability_class=ABILITY_CLASS,
        need_number=None if needs is None else ABILITIES[needs],
    )
    if job_id is not None:
        await notify_workers(session)
    return job_id


async def expect_no_ingest(session: AsyncSession, dataset_id: int, *, starting: str | None = None) -> None:
    """Refuse while a sync or an import, of which there is one at most, writes into the dataset. `starting`: the kind of
    the job that is requested."""
    job = await sql.first(session, SQL.active_ingest, dataset_id=dataset_id)
    if job is None:
        return
    kind, global_id = job["kind"], f"{TYPE_NAMES[job['kind']]}:{job['id']}"
    if kind == starting == "SYNC":
        message = "A sync of this dataset is running; wait for it or cancel it."
        raise Conflict(message, code="SYNC_ALREADY_RUNNING", jobId=global_id)
    noun = "a sync" if kind == "SYNC" else "an import"
    message = f"The dataset has {noun} queued or running; wait until it ends, or cancel it, and repeat."
    raise Conflict(message, code="DATASET_BUSY", jobId=global_id)


async def expect_no_dry_run(session: AsyncSession, dataset_id: int, *, requested_by: str) -> None:
    """Refuse a second dry run of a sync by the same token."""
    job_id = await sql.value(session, SQL.active_dry_run, dataset_id=dataset_id, requested_by=requested_by)
    if job_id is not None:
        message = "A dry run of a sync of this dataset that this token started is running; wait for it or cancel it."
        raise Conflict(message, code="SYNC_ALREADY_RUNNING", jobId=f"{TYPE_NAMES['SYNC']}:{job_id}")


async def count_active(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    """How many jobs wait and run, by kind and status; also the kinds of which there is none."""
    counts = {(kind, status): 0 for kind in (*get_args(Kind), FOREGROUND) for status in ACTIVE}
    rows = await sql.run(connection, SQL.count_active)
    return counts | {(row["kind"], row["status"]): row["count"] for row in rows}


async def cancel(session: AsyncSession, job_id: int) -> None:
    """Cancel a job: at once if it is queued, within 5 s if it runs. One that has ended stays as it is."""
    status = await sql.value(session, SQL.cancel, job_id=job_id)
    if status == "CANCELED":
        await _clear_staging(session, job_id)
    if status is not None:
        await notify(session, "job", job_id)


async def cancel_all(session: AsyncSession, dataset_id: int) -> None:
    """Cancel every active job of a dataset but its purge."""
    active = select(Job.id).where(Job.dataset_id == dataset_id, Job.kind != "PURGE", col(Job.status).in_(ACTIVE))
    for job_id in (await session.exec(active.order_by(col(Job.id)))).all():
        await cancel(session, job_id)


@asynccontextmanager
async def register_worker(
    connection: asyncpg.Connection, abilities: Collection[Ability] = ()
) -> AsyncGenerator[int, None]:
    """Lock a new worker's number, which is returned, and its abilities, as long as the connection lasts and at most for
    the block."""
    worker = secrets.randbelow(2**31)
    while not await sql.value(connection, SQL.lock_worker, lock_class=LOCK_CLASS, worker=worker):
        worker = secrets.randbelow(2**31)
    locks = [{"ability_class": ABILITY_CLASS, "number": ABILITIES[each]} for each in abilities]
    for lock in locks:  # nobody holds one alone
        await sql.run(connection, SQL.lock_ability, **lock)
    try:
        yield worker
    finally:
        with suppress(*ANY_ERROR):
            if not connection.is_closed():  # else Postgres has freed them
                await sql.run(connection, SQL.unlock_worker, lock_class=LOCK_CLASS, worker=worker)
                for lock in locks:
                    await sql.run(connection, SQL.unlock_ability, **lock)


async def claim(
    database: Database,
    worker: int,
    abilities: Collection[Ability] = (),
    *,
    of_readers: bool = True,
    turns: Turns | None = None,
) -> Claim | None:
    """The job that is due first, of those that need no other abilities, now running under a new epoch. None: no job is
    due. `of_readers`: also exports and dry runs of syncs, which come last; those that are late come first, unless the
    last one in `turns` was such a job.

    A job that was claimed too often without progress fails here.
    """
    turns = turns or Turns()
    while True:
        async with database.writing() as session:
            row = await sql.first(
                session,
                SQL.claim,
                worker=worker,
                abilities=list(abilities),
                of_readers=of_readers,
                late_first=not turns.last_of_reader,
                served=turns.served,
                patience=PATIENCE,
            )
            if row is None:
                return None
            await notify(session, "job", row["id"])
        json = {name: orjson.loads(row[name]) for name in ("arguments", "checkpoint")}
        claimed = Claim(**{**row, **json})
        turns.note(claimed)
        if claimed.attempts > MAX_ATTEMPTS:
            reason = f"Its worker died {MAX_ATTEMPTS} times without progress"
        elif claimed.claims > MAX_CLAIMS:
            reason = f"It was started {MAX_CLAIMS} times and lost the database or its worker each time without progress"
        else:
            return claimed
        await finish(database, claimed, "FAILED", Defect(f"{reason}; see the server's log."))


async def finish(database: Database, claim: Claim, status: str, error: DomainError | None = None) -> bool:
    """End a job. False: this claim is no longer valid."""
    async with database.writing() as session:
        return await _finish(session, claim.id, claim.epoch, status, error)


async def _finish(
    session: AsyncSession, job_id: int, epoch: int, status: str, error: DomainError | None = None
) -> bool:
    finished = await sql.first(
        session,
        SQL.finish,
        job_id=job_id,
        epoch=epoch,
        status=status,
        error_code=error and error.code,
        error_message=error and storable(error.message),
        error_details=error and orjson.dumps(_storable_details(error.details)).decode(),
    )
    if finished is not None:
        await _clear_staging(session, job_id)
        await notify(session, "job", job_id)
    return finished is not None


def _storable_details(value: Any) -> Any:
    """The details as Postgres can store them, whatever a file or another program gave: a job always ends."""
    match value:
        case None | bool() | float():
            return value
        case int() if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
        case Mapping():
            return {storable(str(name)): _storable_details(each) for name, each in value.items()}
        case list() | tuple():
            return [_storable_details(each) for each in value]
        case _:
            return storable(str(value))


async def release(database: Database, claim: Claim, *, refund_attempt: bool, after: timedelta = timedelta(0)) -> bool:
    """Return a job to the queue, to be claimed `after` a while, or later if it makes no progress. `refund_attempt`:
    the job is not why it stopped, so this attempt does not count. False: this claim is no longer valid."""
    async with database.writing() as session:
        status = await _release(session, claim.id, claim.epoch, refund_attempt=refund_attempt, after=after)
    return status is not None


async def sweep(database: Database) -> list[int]:
    """Return the jobs of dead workers to the queue, and note for which queued ones there is no living worker. The ids
    of those that were returned, and not canceled in between."""
    requeued = []
    async with database.writing() as session:
        names, numbers = list(ABILITIES), list(ABILITIES.values())
        values = {"names": names, "numbers": numbers, "ability_class": ABILITY_CLASS}
        for row in await sql.run(session, SQL.note_waiting, **values):
            await notify(session, "job", row["id"])
        for row in await sql.run(session, SQL.orphans, lease=LEASE, lock_class=LOCK_CLASS, foreground=FOREGROUND):
            if row["kind"] == FOREGROUND:
                await _finish(session, row["id"], row["epoch"], "FAILED", Unavailable(STOPPED))
                continue
            status = await _release(session, row["id"], row["epoch"], refund_attempt=row["server_restarted"])
            if status == "QUEUED":
                requeued.append(row["id"])
    return requeued


async def _release(
    session: AsyncSession, job_id: int, epoch: int, *, refund_attempt: bool, after: timedelta = timedelta(0)
) -> str | None:
    """The job's new status: CANCELED if that was requested. None: the epoch is no longer the job's."""
    status: str | None = await sql.value(
        session, SQL.release, job_id=job_id, epoch=epoch, refund_attempt=refund_attempt, after=after
    )
    if status == "QUEUED":
        await notify_workers(session)
    elif status == "CANCELED":
        await _clear_staging(session, job_id)
    if status is not None:
        await notify(session, "job", job_id)
    return status


async def notify(runner: sql.Runner, kind: Literal["job", "dataset"], id: int) -> None:
    await sql.run(runner, SQL.notify, channel=CHANNEL, payload=f"{kind}:{id}")


async def notify_workers(runner: sql.Runner) -> None:
    await sql.run(runner, SQL.notify, channel=QUEUE_CHANNEL, payload="")


async def _clear_staging(session: AsyncSession, job_id: int) -> None:
    """Delete what a job staged, which may take minutes for millions of rows: with a time limit it could never end."""
    await sql.run(session, "SET LOCAL statement_timeout = 0")
    await sql.count(session, SQL.clear_staging, timeout=LONG_TIMEOUT, job_id=job_id)
