"""What clients ask of jobs: to sync a dataset, to stop."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs, statements, sync
from db.access import enter
from db.errors import NotFound
from db.sync.options import Existing
from db.tokens import Identity

OWNER = "SELECT dataset_id FROM job JOIN dataset d ON d.id = dataset_id WHERE job.id = :id AND d.deleted_at IS NULL"


@dataclass(frozen=True, slots=True)
class Requested:
    job: int


async def start_sync(
    session: AsyncSession,
    dataset_id: int,
    *,
    by: Identity,
    existing: Existing = "KEEP",
    remove_missing: bool = True,
    restore_removed: bool = False,
) -> Requested:
    """Ask for a sync. A second one beside it is refused with SYNC_ALREADY_RUNNING."""
    await enter(session, dataset_id, by)
    job = await sync.start(
        session,
        dataset_id,
        requested_by=by.name,
        existing=existing,
        remove_missing=remove_missing,
        restore_removed=restore_removed,
    )
    return Requested(job)


async def cancel(session: AsyncSession, job_id: int, *, by: Identity) -> Requested:
    """Ask a job of a dataset that the token may see to stop."""
    row = await statements.first(session, f"{OWNER} AND job.kind = 'SYNC'", id=job_id)
    if row is None or not by.sees(row["dataset_id"]):
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    await jobs.cancel(session, job_id)
    return Requested(job_id)
