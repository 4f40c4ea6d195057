"""Changes of many samples. They have more time than others, and are shown as a job while their transaction goes on.
Its progress counts the parts or steps that are done."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.jobs.foreground import ForegroundJob
from db.postgres import sql
from db.postgres.engine import Database, allow_time_for

LARGE: Final = "large_change"
ACTOR: Final = "actor"


@dataclass(slots=True)
class LargeChange:
    """Of one write, with all its attempts."""

    database: Database
    job: ForegroundJob | None = None  # once it is known to be large


@asynccontextmanager
async def shown(database: Database) -> AsyncGenerator[LargeChange, None]:
    """For a write, which ends within the block."""
    large, failure = LargeChange(database), None
    try:
        yield large
    except BaseException as error:
        failure = error
        raise
    finally:
        if large.job is not None:
            await large.job.close(failure)


async def expect_samples(session: AsyncSession, dataset_id: int, count: int) -> None:
    """A transaction is about to change so many samples."""
    await allow_time_for(session, count)
    large: LargeChange | None = session.info.get(LARGE)
    if large is None or ACTOR not in session.info or sql.TIMEOUT not in session.info or large.job is not None:
        return
    large.job = ForegroundJob(large.database, dataset_id, session.info[ACTOR], count)
    await large.job.start()


def job_of(session: AsyncSession) -> ForegroundJob | None:
    """The job as which the transaction is shown."""
    large: LargeChange | None = session.info.get(LARGE)
    return None if large is None else large.job


def report(session: AsyncSession, progress: float) -> None:
    """How much of the work is done, as a fraction."""
    job = job_of(session)
    if job is not None:
        job.report(progress)


async def finish(session: AsyncSession) -> None:
    """Before the commit. What else would run during it is done first: the job's row is locked from here on."""
    job = job_of(session)
    if job is not None:
        await sql.run(session, "SET CONSTRAINTS ALL IMMEDIATE")
        await job.succeed(session)
