"""NOTIFY between processes. A notification names what changed and carries no data; listeners poll too, so that a lost
one costs a few seconds.

Do not notify in a transaction that labels: commits that notify wait for one another.
"""

from typing import Final

from db.postgres import sql

SQL: Final = sql.load(__file__)
CHANNEL: Final = "labelgraph"  # a job or a dataset changed
QUEUE_CHANNEL: Final = "labelgraph_queue"  # a job was queued


async def notify_job(runner: sql.Runner, job_id: int) -> None:
    await sql.run(runner, SQL.notify, channel=CHANNEL, payload=f"job:{job_id}")


async def notify_dataset(runner: sql.Runner, dataset_id: int) -> None:
    await sql.run(runner, SQL.notify, channel=CHANNEL, payload=f"dataset:{dataset_id}")


async def notify_workers(runner: sql.Runner) -> None:
    await sql.run(runner, SQL.notify, channel=QUEUE_CHANNEL, payload="")
