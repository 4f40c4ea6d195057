"""What a request may do with jobs, inside its own transaction: ask for one, ask one to stop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, NotFound
from db.jobs.carrier import carry, drop
from db.jobs.notifications import notify_job
from db.postgres.sql import connection_of

# A second active sync or import of a dataset meets the index job_one_active, a second manifest of a version the index
# job_one_manifest, and inserts nothing.
INSERT = """
INSERT INTO job (dataset_id, kind, requested_by, arguments, version_id)
SELECT id, $2, $3, $4::text::jsonb, $5 FROM dataset WHERE id = $1 AND (deleted_at IS NULL OR $2 = 'PURGE')
ON CONFLICT DO NOTHING
RETURNING id
"""

# A job that waits is canceled here and now; a running one is told, and stops at its worker's next pulse.
CANCEL = """
UPDATE job SET cancel_requested = true, step = step + 1,
               status = CASE status WHEN 'QUEUED' THEN 'CANCELED' ELSE status END,
               finished_at = CASE status WHEN 'QUEUED' THEN clock_timestamp() END
WHERE id = $1 AND status IN ('QUEUED', 'RUNNING') AND NOT cancel_requested
RETURNING status
"""

STAGING = ("sync_object", "sync_sidecar", "sync_item", "import_line")
CLEAR = tuple(f"DELETE FROM {table} WHERE job_id = $1" for table in STAGING)
FILLING = """
SELECT id, kind FROM job
WHERE dataset_id = $1 AND kind IN ('SYNC', 'IMPORT') AND status IN ('QUEUED', 'RUNNING')
"""
# The kinds of jobs that clients see, and what they are called there.
TYPE_NAMES: Final[Mapping[str, str]] = {"SYNC": "SyncJob", "IMPORT": "ImportJob", "MANIFEST": "ManifestJob"}


@dataclass(frozen=True, slots=True)
class PublicJob:
    """A job that clients see."""

    id: int
    type: str

    @property
    def global_id(self) -> str:
        return f"{self.type}:{self.id}"


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
    connection = await connection_of(session)
    text = orjson.dumps(dict(arguments or {})).decode()
    job_id: int | None = await connection.fetchval(INSERT, dataset_id, kind, requested_by, text, version_id)
    if job_id is not None:
        await carry(connection, job_id)
    return job_id


async def active_ingest(session: AsyncSession, dataset_id: int) -> PublicJob | None:
    """The job that fills the working set, of which there is one at most."""
    row = await (await connection_of(session)).fetchrow(FILLING, dataset_id)
    return None if row is None else PublicJob(row["id"], TYPE_NAMES[row["kind"]])


def dataset_busy(active: PublicJob) -> Conflict:
    """What is refused while a job fills the working set: it would meet half of something."""
    noun = active.type.removesuffix("Job").lower()
    return Conflict(
        f"The dataset has {'an' if noun == 'import' else 'a'} {noun} under way; wait until it ends, or cancel it, and "
        "repeat.",
        code="DATASET_BUSY",
        jobId=active.global_id,
    )


async def cancel(session: AsyncSession, job_id: int) -> None:
    """Ask a job to stop: at once if it waits, within 5 s if it runs. One that has ended stays as it is."""
    connection = await connection_of(session)
    status: str | None = await connection.fetchval(CANCEL, job_id)
    if status is None:
        if not await connection.fetchval("SELECT true FROM job WHERE id = $1", job_id):
            raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
        return
    if status == "CANCELED":
        await drop(connection, job_id)
        for statement in CLEAR:
            await connection.execute(statement, job_id)
    await notify_job(connection, job_id)


async def cancel_all(session: AsyncSession, dataset_id: int) -> None:
    """Ask every active job of a dataset to stop."""
    connection = await connection_of(session)
    active = (
        "SELECT id FROM job WHERE dataset_id = $1 AND status IN ('QUEUED', 'RUNNING') AND kind <> 'PURGE' ORDER BY id"
    )
    for row in await connection.fetch(active, dataset_id):
        await cancel(session, row["id"])
