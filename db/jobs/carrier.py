"""Handing a job's id to the queue, in the transaction that made the job."""

from datetime import timedelta

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries

ENTRYPOINT = "labelgraph_job"


async def carry(connection: asyncpg.Connection, job_id: int, after: timedelta = timedelta(0)) -> None:
    """Put the job's id into the queue afresh, to be taken `after` a while; what lies there of it is thrown away."""
    await connection.execute("DELETE FROM pgqueuer WHERE dedupe_key = $1", _key(job_id))
    queue = Queries(AsyncpgDriver(connection))
    await queue.enqueue(
        ENTRYPOINT, str(job_id).encode(), dedupe_key=_key(job_id), on_conflict="skip", execute_after=after
    )


async def drop(connection: asyncpg.Connection, job_id: int) -> None:
    await connection.execute("DELETE FROM pgqueuer WHERE dedupe_key = $1 AND status = 'queued'", _key(job_id))


def _key(job_id: int) -> str:
    return f"job:{job_id}"
