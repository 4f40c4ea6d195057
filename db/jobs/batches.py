"""Batches: a part of a job's work commits with its counters and its checkpoint, and only while the claim is valid."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import astuple, dataclass, field, replace
from itertools import repeat
from typing import Any, Final, TypeVar

import asyncpg
import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.names import storable
from db.jobs.queue import LONG_TIMEOUT, Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.outages import is_rolled_back, retry

SQL: Final = sql.load(__file__, "jobs.sql")
MAX_WARNINGS = 10_000  # kept of one job
MAX_EXAMPLES: Final = 10  # kept of one kind of notices
MAX_PATH, MAX_MESSAGE = 1_100, 1_500  # bytes: an entry of an index has both, and at most 2,704
COUNTS: Final = (
    *("skipped", "added", "updated", "removed", "moved", "labeled"),
    *("matched", "kept", "missing", "beyond"),
)

T = TypeVar("T")


class Fenced(Exception):
    """The claim is no longer valid: another worker has the job, or it has ended. Nothing of the batch was committed."""


@dataclass(frozen=True, slots=True)
class LabelWarning:
    """A name that no label of the dataset can have, where it is first, and how often it occurs."""

    name: str
    path: str
    message: str
    count: int = 1


@dataclass(slots=True)
class Batch:
    """A transaction of a job. What is set here is written with it: `counts` are added, `totals` replace."""

    session: AsyncSession
    connection: asyncpg.Connection
    counts: Counter[str] = field(default_factory=Counter)
    totals: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    label_warnings: dict[str, LabelWarning] = field(default_factory=dict)
    notices: dict[str, tuple[int, list[str]]] = field(default_factory=dict)  # by kind: how many, and the first of them
    examples: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)  # by effect: paths, and former ones
    checkpoint: dict[str, Any] | None = None
    progress: float | None = None

    async def execute_long(self, statement: str, *values: Any) -> None:
        """Execute a statement over a whole dataset, which may take minutes for millions of rows."""
        await self.connection.execute("SET LOCAL statement_timeout = 0")
        await self.connection.execute(statement, *values, timeout=LONG_TIMEOUT)

    def warn(self, path: str, message: str) -> None:
        self.warnings.append((path, message))

    def notice(self, kind: str, example: str, count: int = 1) -> None:
        before, examples = self.notices.get(kind, (0, []))
        self.notices[kind] = before + count, [*examples, *filter(None, [example])][:MAX_EXAMPLES]

    def example(self, effect: str, paths: Iterable[str], former: Iterable[str | None] = repeat(None)) -> None:
        """The first samples on which a dry run of a sync would have an effect."""
        self.examples[effect] = [*self.examples.get(effect, ()), *zip(paths, former, strict=False)][:MAX_EXAMPLES]

    def warn_label(self, warning: LabelWarning) -> None:
        """One warning for each label name in a job, at the first path where it occurs."""
        first = self.label_warnings.get(warning.name)
        self.label_warnings[warning.name] = replace(first, count=first.count + warning.count) if first else warning


async def in_batch(database: Database, job: Claim, work: Callable[[Batch], Awaitable[T]]) -> T:
    """Do `work` in one fenced transaction; again, from its start, when Postgres rolls it back. Raises Fenced."""

    async def transaction() -> T:
        async with database.writing() as session:
            batch = Batch(session=session, connection=await sql.connection_of(session))
            result = await work(batch)
            await _write(batch, job)
        job.checkpoint = batch.checkpoint or job.checkpoint
        job.report(progress=batch.progress, scanned=batch.totals.get("scanned"))
        return result

    return await retry(transaction, is_rolled_back)


def _text(text: str, most: int) -> str:
    """As it can be stored, and at most so many bytes of it."""
    return storable(text).encode()[:most].decode(errors="ignore")


async def _write(batch: Batch, job: Claim) -> None:
    """Write the warnings, counters and checkpoint of a batch, under the epoch of the claim. Whatever a file or a model
    said, its text can be stored: a warning makes no job fail."""
    warnings = [(None, path, message, 1) for path, message in batch.warnings]
    warnings += map(astuple, batch.label_warnings.values())
    if warnings:
        names, paths, messages, counts = map(list, zip(*warnings, strict=True))
        values = {
            "names": [name and _text(name, MAX_PATH) for name in names],
            "paths": [_text(path, MAX_PATH) for path in paths],
            "messages": [_text(message, MAX_MESSAGE) for message in messages],
            "counts": counts,
        }
        await sql.run(batch.connection, SQL.warn, job_id=job.id, **values, max_warnings=MAX_WARNINGS)
    if batch.notices:
        values = {"kinds": list(batch.notices), "counts": [count for count, _ in batch.notices.values()]}
        values["examples"] = [
            orjson.dumps(list(map(storable, examples))).decode() for _, examples in batch.notices.values()
        ]
        await sql.run(batch.connection, SQL.notice, job_id=job.id, **values, most=MAX_EXAMPLES)
    for effect, examples in batch.examples.items():
        if examples:
            paths, former = map(list, zip(*examples, strict=True))
            values = {"paths": paths, "former": [path for path in former if path is not None]}
            give = SQL.give_examples
            await sql.run(batch.connection, give, job_id=job.id, effect=effect, **values, most=MAX_EXAMPLES)
    advanced = await sql.value(
        batch.connection,
        SQL.advance,
        job_id=job.id,
        epoch=job.epoch,
        checkpoint=None if batch.checkpoint is None else orjson.dumps(batch.checkpoint).decode(),
        progress=batch.progress,
        scanned=batch.totals.get("scanned"),
        ignored=batch.totals.get("ignored"),
        skipped_in_all=batch.totals.get("skipped"),
        unchanged=batch.totals.get("unchanged"),
        **{name: batch.counts[name] for name in COUNTS},
    )
    if advanced is None:
        raise Fenced(f"the claim of job {job.id} under epoch {job.epoch} is no longer valid")
