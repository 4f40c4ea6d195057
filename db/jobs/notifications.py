"""NOTIFY between processes. A notification names what changed and carries no data; listeners poll too, so that a lost
one costs a few seconds.

Do not notify in a transaction that labels: commits that notify wait for one another.
"""

from typing import Final

import asyncpg

CHANNEL: Final = "labelgraph"


async def notify_job(connection: asyncpg.Connection, job_id: int) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"job:{job_id}")


async def notify_dataset(connection: asyncpg.Connection, dataset_id: int) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"dataset:{dataset_id}")
