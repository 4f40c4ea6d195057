"""Sync: merging a dataset's working set with what lies in its input path. Never a copy of the listing: a merge.

    list ──▶ plan ──▶ confirm ──▶ inspect ──▶ move ──▶ merge ──▶ remove
    COPY     one      what van-   what may     one      bounded   one change,
             pass     ished       have moved   change   batches   undoable

Each arrow is a checkpoint in the job's row, so a sync that died goes on where it was; and each stage, done twice,
ends as if done once.
"""

from dataclasses import asdict

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Conflict
from db.history.changes import no_such_dataset
from db.ingest.sync.options import DEFAULTS, Options
from db.ingest.sync.stages import run

__all__ = ["Options", "run", "start"]


async def start(session: AsyncSession, dataset_id: int, options: Options = DEFAULTS, *, requested_by: str) -> int:
    """Request a sync; a worker begins when the transaction commits. Returns the job's id."""
    job_id = await jobs.enqueue(session, dataset_id, "SYNC", requested_by=requested_by, arguments=asdict(options))
    if job_id is not None:
        return job_id
    running = await jobs.active_ingest(session, dataset_id)
    if running is None:
        raise no_such_dataset()
    if running.type != "SyncJob":
        raise jobs.dataset_busy(running)
    raise Conflict(
        "A sync of this dataset is running; wait for it or cancel it.",
        code="SYNC_ALREADY_RUNNING",
        jobId=running.global_id,
    )
