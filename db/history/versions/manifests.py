"""Requests to have a version's manifest written, which a job does (`db/exports/manifests.py`)."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.postgres import sql

HAS_OUTPUT: Final = "SELECT true AS yes FROM dataset WHERE id = :id AND output_path IS NOT NULL"
ACTIVE: Final = """
    SELECT id FROM job WHERE version_id = :id AND kind = 'MANIFEST' AND status IN ('QUEUED', 'RUNNING')
"""


async def request(session: AsyncSession, dataset_id: int, version_id: int, *, requested_by: str) -> int | None:
    """Have the manifest written. The job; one that waits or runs already, if there is one. None: the dataset has no
    output path."""
    if not await sql.first(session, HAS_OUTPUT, id=dataset_id):
        return None
    while True:
        job = await jobs.enqueue(session, dataset_id, "MANIFEST", requested_by=requested_by, version_id=version_id)
        if job is not None:
            return job
        active = await sql.first(session, ACTIVE, id=version_id)
        if active is not None:  # else it has ended since
            return int(active["id"])
