"""A job that a request does itself, in one transaction, and that is shown while it goes on.

It is written on a connection of its own, since others see what the transaction writes when it commits. The transaction
itself makes it SUCCEEDED, so that the job says nothing else than what is true; whatever else ends it is a failure. If
the process is killed, the sweep of a worker finds that there are no heartbeats any more.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Defect, DomainError
from db.jobs.queue import FOREGROUND, notify
from db.postgres import sql
from db.postgres.engine import Database, open_connection
from db.postgres.readers import GRACE

SQL: Final = sql.load(__file__, "jobs.sql")
BEAT: Final = 1.0  # seconds between heartbeats, which write the progress
NO_EPOCH: Final = 0  # these jobs are never claimed

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ForegroundJob:
    """`samples`: how many it is about. `progress` is written with the next heartbeat."""

    database: Database
    dataset_id: int
    requested_by: str
    samples: int
    id: int | None = None
    progress: float = 0.0
    _connection: asyncpg.Connection | None = None
    _heartbeat: asyncio.Task[None] | None = field(default=None)

    async def start(self) -> None:
        """Show the job. If that cannot be done, the work goes on without."""
        try:
            values = {"kind": FOREGROUND, "requested_by": self.requested_by, "samples": self.samples}
            row = await self._write(SQL.insert_running, dataset_id=self.dataset_id, **values)
        except Exception as error:
            log.warning("a large change is not shown as a job: %s", type(error).__name__)
            return
        if row is not None:
            self.id = row["id"]
            self._heartbeat = asyncio.create_task(self._beat())

    def report(self, progress: float) -> None:
        self.progress = max(self.progress, min(progress, 1.0))

    async def succeed(self, session: AsyncSession) -> None:
        """End the job in the transaction that does its work, which is about to commit."""
        if self.id is not None:
            await sql.run(session, SQL.finish, **self._end("SUCCEEDED"))
            await notify(session, "job", self.id)

    async def close(self, error: BaseException | None) -> None:
        """End the job if its transaction has not: it failed."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.wait([self._heartbeat])
        with suppress(Exception):  # the sweep does it
            async with asyncio.timeout(GRACE):
                if error is not None and self.id is not None:
                    refusal = error if isinstance(error, DomainError) else Defect("The change was stopped.")
                    await self._write(SQL.finish, **self._end("FAILED", refusal))
        if self._connection is not None:
            self._connection.terminate()

    def _end(self, status: str, error: DomainError | None = None) -> dict[str, Any]:
        columns = {"error_code": error and error.code, "error_message": error and error.message, "error_details": None}
        return {"job_id": self.id, "epoch": NO_EPOCH, "status": status, **columns}

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                values = {"epoch": NO_EPOCH, "progress": self.progress, "scanned": 0, "steps": 1}
                await self._write(SQL.beat, job_id=self.id, **values)
            except Exception as error:
                log.warning("job %s: no heartbeat, %s", self.id, type(error).__name__)

    async def _write(self, statement: str, **values: Any) -> asyncpg.Record | None:
        """Behind a pooler, too, where only a transaction stays on one connection."""
        if self._connection is None or self._connection.is_closed():
            timeout = self.database.limits.connect
            self._connection = await open_connection(self.database.url, timeout=timeout, statement_cache_size=0)
        async with self._connection.transaction():
            row = await sql.first(self._connection, statement, **values)
            if row is not None:
                await notify(self._connection, "job", self.id or row["id"])
        return row
