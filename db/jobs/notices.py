"""Notices between processes: a topic's name, nothing else. Losing one costs nothing, since listeners also poll."""

import asyncpg

CHANNEL = "labelgraph"


class TOPIC:
    """The names that travel on the channel."""

    @staticmethod
    def job(job_id: int) -> str:
        return f"job:{job_id}"

    @staticmethod
    def dataset(dataset_id: int) -> str:
        return f"change:{dataset_id}"


async def announce(connection: asyncpg.Connection, topic: str) -> None:
    """Tell every process that a topic moved. Not in a transaction that labels: NOTIFY makes commits wait in a row."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, topic)
