"""Two concurrent writers, of which one waits for a lock of the other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import DomainError
from db.history.transactions import write
from db.postgres.engine import Database
from tests.waiting import TIMEOUT

Work = Callable[[AsyncSession], Awaitable[Any]]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def outcome(database: Database, work: Work) -> Any:
    """The outcome, or the code of the refusal; another error fails the test."""
    try:
        return await write(database, work, object)
    except DomainError as refused:
        return refused.code


async def until_blocked(database: Database, transactions: int = 1) -> None:
    """Until so many transactions wait for a lock."""
    async with asyncio.timeout(TIMEOUT), database.reading() as reader:
        while await reader.fetchval(WAITING) < transactions:  # noqa: ASYNC110 (others' locks wake nobody here)
            await asyncio.sleep(0.01)


async def overlapping(database: Database, first: Work, second: Work) -> tuple[Any, Any]:
    """`second` begins after `first` has done its work and before it commits. It waits for a lock, or ends before."""
    async with database.writing() as session:
        done = await first(session)
        other = asyncio.create_task(outcome(database, second))
        meeting = asyncio.create_task(until_blocked(database))
        await asyncio.wait({other, meeting}, return_when=asyncio.FIRST_COMPLETED)
        meeting.cancel()
    return done, await other
