"""Whether what a job has staged is there: it is in unlogged tables, which Postgres empties when it crashes.

A job whose connection was lost between two batches goes on with another one, and notices nothing. So a row in one more
such table says that no crash came since the staging began.
"""

from typing import Final

import asyncpg

from db.jobs import Batch, Claim
from db.postgres import sql
from db.postgres.outages import DatabaseUnavailable

SQL: Final = sql.load(__file__)
LOST: Final = "The database has lost what this job had read; it begins again."


async def begin_staging(batch: Batch, job: Claim) -> None:
    await sql.run(batch.connection, SQL.begin, job_id=job.id)


async def is_staged(connection: asyncpg.Connection, job: Claim) -> bool:
    return bool(await sql.value(connection, SQL.is_staged, job_id=job.id))


async def expect_staged(batch: Batch, job: Claim) -> None:
    """Raises DatabaseUnavailable, with which the job returns to the queue."""
    if not await is_staged(batch.connection, job):
        raise DatabaseUnavailable(LOST)
