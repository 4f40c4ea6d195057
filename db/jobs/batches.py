"""Fenced batches: a piece of a job's work, its counters and its checkpoint in one transaction, ours or nobody's."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import asyncpg
import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db.jobs.claims import Claim
from db.postgres.engine import Database
from db.postgres.outages import ROLLED_BACK, sqlstate
from db.postgres.retries import retry
from db.postgres.sql import connection_of

T = TypeVar("T")
LONG_TIMEOUT = 3_600.0  # seconds

# Last in the transaction: the writers' order ends with the dataset's row, and deleteDataset goes from it to its jobs.
ADVANCE = """
UPDATE job SET checkpoint = coalesce($3::text::jsonb, checkpoint), progress = greatest(progress, $4::float8),
               scanned = coalesce($5, scanned), ignored = coalesce($6, ignored),
               skipped = coalesce($7, skipped) + $8, added = added + $9, updated = updated + $10,
               removed = removed + $11, moved = moved + $12, labeled = labeled + $13,
               attempts = CASE WHEN $3::text IS NULL THEN attempts ELSE 0 END,
               claims = CASE WHEN $3::text IS NULL THEN claims ELSE 0 END,
               step = step + 1, heartbeat_at = clock_timestamp()
WHERE id = $1 AND epoch = $2 AND status = 'RUNNING'
RETURNING id
"""

WARNINGS = 10_000  # that are kept of one job; nobody reads more
WARN = f"""
INSERT INTO job_warning (job_id, path, message)
SELECT $1, path, message FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS w (path, message, n) ORDER BY n
LIMIT {WARNINGS} - (SELECT count(*) FROM job_warning WHERE job_id = $1)
ON CONFLICT DO NOTHING
"""
# A name that was met before is counted again; of new ones as many are written as there is room for.
WARN_NAMES = f"""
WITH given AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
        WITH ORDINALITY AS g (name, path, message, count, n)
), known AS (
    UPDATE job_warning w SET count = w.count + given.count FROM given
    WHERE w.job_id = $1 AND w.name = given.name
    RETURNING w.name
)
INSERT INTO job_warning (job_id, path, message, name, count)
SELECT $1, path, message, name, count FROM given WHERE name NOT IN (SELECT name FROM known) ORDER BY n
LIMIT greatest(0, {WARNINGS} - (SELECT count(*) FROM job_warning WHERE job_id = $1))
ON CONFLICT DO NOTHING
"""


class Fenced(Exception):
    """The job is no longer ours: another worker has it, or it has ended. Nothing of the batch was committed."""


@dataclass(slots=True)
class Batch:
    """A transaction of a job. What is set here is written with it: `counts` are added, `totals` replace."""

    session: AsyncSession
    connection: asyncpg.Connection
    counts: Counter[str] = field(default_factory=Counter)
    totals: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    names: "dict[str, NameWarning]" = field(default_factory=dict)
    checkpoint: dict[str, Any] | None = None
    progress: float | None = None

    async def execute_long(self, statement: str, *values: Any) -> None:
        """A statement over a whole dataset, which may take minutes where millions of rows are concerned."""
        await self.connection.execute("SET LOCAL statement_timeout = 0")
        await self.connection.execute(statement, *values, timeout=LONG_TIMEOUT)

    def warn(self, path: str, message: str) -> None:
        self.warnings.append((path, message))

    def warn_label(self, name: str, path: str, message: str, count: int = 1) -> None:
        """One warning for each name in a job, at the first path that it was met at."""
        self.names.setdefault(name, NameWarning(path, message)).count += count


@dataclass(slots=True)
class NameWarning:
    path: str
    message: str
    count: int = 0


async def clear_label_warnings(batch: Batch, job: Claim) -> None:
    """When a stage begins anew, it meets every name again."""
    await batch.connection.execute("DELETE FROM job_warning WHERE job_id = $1 AND name IS NOT NULL", job.id)


async def in_batch(database: Database, job: Claim, work: Callable[[Batch], Awaitable[T]]) -> T:
    """Do `work` in one fenced transaction; again, from its start, when Postgres asks for it. Raises Fenced."""
    return await retry(partial(_once, database, job, work), lambda error: sqlstate(error) in ROLLED_BACK)


async def _once(database: Database, job: Claim, work: Callable[[Batch], Awaitable[T]]) -> T:
    async with database.writing() as session:
        batch = Batch(session=session, connection=await connection_of(session))
        result = await work(batch)
        await _advance(job, batch)
    job.checkpoint = batch.checkpoint or job.checkpoint
    job.report(progress=batch.progress, scanned=batch.totals.get("scanned"))
    return result


async def _advance(job: Claim, batch: Batch) -> None:
    if batch.warnings:
        await batch.connection.execute(WARN, job.id, *map(list, zip(*batch.warnings, strict=True)))
    if batch.names:
        rows = [(name, each.path, each.message, each.count) for name, each in batch.names.items()]
        await batch.connection.execute(WARN_NAMES, job.id, *map(list, zip(*rows, strict=True)))
    checkpoint = orjson.dumps(batch.checkpoint).decode() if batch.checkpoint is not None else None
    totals = [batch.totals.get(name) for name in ("scanned", "ignored", "skipped")]
    counts = [batch.counts[name] for name in ("skipped", "added", "updated", "removed", "moved", "labeled")]
    done = await batch.connection.fetchval(ADVANCE, job.id, job.epoch, checkpoint, batch.progress, *totals, *counts)
    if done is None:
        raise Fenced(f"job {job.id} is no longer held under epoch {job.epoch}")
