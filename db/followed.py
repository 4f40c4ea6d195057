"""What somebody may follow: it is there, and his token may see it."""

from collections.abc import AsyncGenerator

from db.changes import no_such_dataset
from db.engine import Database
from db.errors import NotFound
from db.jobs import PUBLIC
from db.tokens import Identity

DATASET = "SELECT id FROM dataset WHERE id = $1 AND deleted_at IS NULL"
LATEST_SYNC = "SELECT id FROM job WHERE dataset_id = $1 AND kind = 'SYNC' ORDER BY id DESC LIMIT 1"
HEAD = "SELECT revision FROM dataset WHERE id = $1 AND deleted_at IS NULL"
CHANGES = "SELECT id, revision FROM change WHERE dataset_id = $1 AND revision > $2 ORDER BY revision LIMIT 100"
JOB = """
SELECT job.dataset_id FROM job JOIN dataset d ON d.id = job.dataset_id
WHERE job.id = $1 AND job.kind = $2 AND d.deleted_at IS NULL
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


async def job(database: Database, job_id: int, by: Identity, *, type_name: str = "SyncJob") -> int:
    """The job's id, if there is such a job."""
    kind = next((kind for kind, name in PUBLIC.items() if name == type_name), None)
    async with database.reading() as connection:
        dataset_id: int | None = await connection.fetchval(JOB, job_id, kind)
    if dataset_id is None or not by.sees(dataset_id):
        raise NotFound("There is no such job; list them with `dataset { jobs }`.", code="JOB_NOT_FOUND")
    return job_id


async def revision(database: Database, dataset_id: int, by: Identity) -> int:
    """The dataset's revision, if there is such a dataset."""
    async with database.reading() as connection:
        found: int | None = await connection.fetchval(HEAD, dataset_id) if by.sees(dataset_id) else None
    if found is None:
        raise no_such_dataset()
    return found


async def changes_after(database: Database, dataset_id: int, revision: int) -> AsyncGenerator[tuple[int, int], None]:
    """Ids and revisions of the changes that are committed by now. They commit in the order of their revisions, which
    have no gaps: whoever goes on behind the last one that he was given misses none."""
    while True:
        async with database.reading() as connection:
            rows = await connection.fetch(CHANGES, dataset_id, revision)
        for row in rows:
            revision = row["revision"]
            yield row["id"], revision
        if not rows:
            return
