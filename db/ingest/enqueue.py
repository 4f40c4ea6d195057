"""Starting a sync or an import, of which at most one runs in a dataset."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Conflict
from db.history.changes import no_such_dataset


async def enqueue(
    session: AsyncSession, dataset_id: int, kind: jobs.Kind, arguments: dict[str, Any], *, requested_by: str
) -> int:
    """Request a job; a worker begins when the transaction commits. Returns the job's id."""
    job_id = await jobs.enqueue(session, dataset_id, kind, requested_by=requested_by, arguments=arguments)
    if job_id is not None:
        return job_id
    active = await jobs.active_ingest(session, dataset_id)
    if active is None:
        raise no_such_dataset()
    if kind == "SYNC" and active.type == "SyncJob":
        raise Conflict(
            "A sync of this dataset is running; wait for it or cancel it.",
            code="SYNC_ALREADY_RUNNING",
            jobId=active.global_id,
        )
    raise jobs.dataset_busy(active)
