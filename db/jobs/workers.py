"""Which workers are alive.

A worker holds a session lock under its own number as long as its connection lasts. Postgres frees the lock the moment
the process dies, on this machine or another, so that its jobs are taken over at once; where a network keeps a dead
connection open, the age of the heartbeat (`LEASE`) decides.
"""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import asyncpg

from db.postgres import sql
from db.postgres.outages import ANY_ERROR

SQL: Final = sql.load(__file__)
LEASE: Final = timedelta(seconds=15)  # without a heartbeat, after which a job is taken over
LOCK_CLASS: Final = 2  # of the workers' advisory locks


@asynccontextmanager
async def register_worker(connection: asyncpg.Connection) -> AsyncGenerator[int, None]:
    """Lock a new worker's number, which is returned, as long as the connection lasts and at most for the block."""
    worker = secrets.randbelow(2**31)
    while not await sql.value(connection, SQL.lock, lock_class=LOCK_CLASS, worker=worker):
        worker = secrets.randbelow(2**31)
    try:
        yield worker
    finally:
        with suppress(*ANY_ERROR):
            if not connection.is_closed():  # else Postgres has freed it
                await sql.run(connection, SQL.unlock, lock_class=LOCK_CLASS, worker=worker)
