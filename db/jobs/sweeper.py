"""What keeps the queue well: jobs of dead workers go back to it, and no waiting job is without its carrier."""

from db.jobs.carrier import carry
from db.jobs.claims import pause_after
from db.jobs.notifications import notify_job
from db.jobs.requests import CLEAR
from db.jobs.workers import ORPHANED, OUTLIVED_SERVER
from db.postgres.engine import Database
from db.postgres.sql import connection_of

CANCELED = f"""
UPDATE job SET status = 'CANCELED', finished_at = clock_timestamp(), worker = NULL, step = step + 1
WHERE status = 'RUNNING' AND cancel_requested AND {ORPHANED}
RETURNING id
"""

REQUEUED = f"""
UPDATE job SET status = 'QUEUED', epoch = epoch + 1, worker = NULL, step = step + 1,
               attempts = CASE WHEN {OUTLIVED_SERVER} THEN greatest(attempts - 1, 0) ELSE attempts END
WHERE status = 'RUNNING' AND {ORPHANED}
RETURNING id, claims
"""

STRANDED = """
SELECT id, claims FROM job
WHERE status = 'QUEUED'
  AND NOT EXISTS (SELECT FROM pgqueuer WHERE dedupe_key = 'job:' || job.id AND status IN ('queued', 'picked'))
ORDER BY id
FOR UPDATE SKIP LOCKED
"""

FORGET = "DELETE FROM pgqueuer_log WHERE created < now() - interval '7 days'"


async def sweep(database: Database) -> list[int]:
    """Put everything in its place; the ids of jobs that came back to the queue."""
    async with database.writing() as session:
        connection = await connection_of(session)
        for row in await connection.fetch(CANCELED):
            for statement in CLEAR:
                await connection.execute(statement, row["id"])
            await notify_job(connection, row["id"])
        returned = [*await connection.fetch(REQUEUED), *await connection.fetch(STRANDED)]
        claims = {row["id"]: row["claims"] for row in returned}
        for job_id in sorted(claims):
            await carry(connection, job_id, pause_after(claims[job_id]))
            await notify_job(connection, job_id)
        await connection.execute(FORGET)
    return sorted(claims)
