"""Sync: merging a dataset's working set with the files in its input path.

    list ──▶ plan ──▶ confirm ──▶ inspect ──▶ move ──▶ merge ──▶ remove
    COPY     one      what van-   what may     one      bounded   one change,
             pass     ished       have moved   change   batches   undoable

Each arrow is a checkpoint in the job's row, so a sync that died goes on where it was; and each stage, done twice,
ends as if done once.
"""

from dataclasses import asdict

from sqlmodel.ext.asyncio.session import AsyncSession

from db.ingest.enqueue import enqueue
from db.ingest.sync.options import DEFAULTS, Options
from db.ingest.sync.stages import run

__all__ = ["Options", "run", "start"]


async def start(session: AsyncSession, dataset_id: int, options: Options = DEFAULTS, *, requested_by: str) -> int:
    return await enqueue(session, dataset_id, "SYNC", asdict(options), requested_by=requested_by)
