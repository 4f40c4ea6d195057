"""What somebody may follow: it is there, and his token may see it."""

from db.changes import no_such_dataset
from db.engine import Database
from db.errors import NotFound
from db.tokens import Identity

DATASET = "SELECT id FROM dataset WHERE id = $1 AND deleted_at IS NULL"
LATEST_SYNC = "SELECT id FROM job WHERE dataset_id = $1 AND kind = 'SYNC' ORDER BY id DESC LIMIT 1"
JOB = """
SELECT job.dataset_id FROM job JOIN dataset d ON d.id = job.dataset_id
WHERE job.id = $1 AND job.kind = 'SYNC' AND d.deleted_at IS NULL
"""


async def latest_sync(database: Database, dataset_id: int, by: Identity) -> int:
    """The id of the dataset's latest sync. JOB_NOT_FOUND where there was none yet."""
    async with database.reading() as connection:
        if not by.sees(dataset_id) or await connection.fetchval(DATASET, dataset_id) is None:
            raise no_such_dataset()
        job: int | None = await connection.fetchval(LATEST_SYNC, dataset_id)
    if job is None:
        raise NotFound("The dataset was never synced; start with `syncDataset`.", code="JOB_NOT_FOUND")
    return job


async def job(database: Database, job_id: int, by: Identity) -> int:
    """The job's id, if there is such a job."""
    async with database.reading() as connection:
        dataset_id: int | None = await connection.fetchval(JOB, job_id)
    if dataset_id is None or not by.sees(dataset_id):
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    return job_id
