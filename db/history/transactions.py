"""A unit of work that survives what passes: one transaction, tried again as long as nothing was committed.

Deadlocks, lock waits, a fallen server, and the races that only a constraint can settle roll back; done again, the
same work meets what the other has committed and says the right thing. A connection that breaks during COMMIT leaves
it open what happened: only a keyed unit is tried again then, because its key tells.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Unavailable
from db.history import idempotency
from db.history.changes import RetryTransaction
from db.history.idempotency import Keyed
from db.postgres.engine import Database
from db.postgres.outages import ROLLED_BACK, DatabaseUnavailable, sqlstate

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]  # what is done in a transaction; it may be done again from its start
TRIES = 6
REPEATED = ROLLED_BACK | {"23505", "23503"}  # constraints decide races: done again, the work finds who was quicker


async def write(database: Database, work: Work[T], outcome: type[T], keyed: Keyed | None = None) -> T:
    """Do `work` once and commit it. With a key, work that was done before is not done again: its outcome is given."""
    for attempt in range(1, TRIES + 1):
        last = attempt == TRIES
        try:
            async with database.writing() as session:
                return await (work(session) if keyed is None else idempotency.once(session, keyed, work, outcome))
        except DatabaseUnavailable as error:
            _repeat_or_raise(error, keyed, last=last)
        except RetryTransaction as error:
            _give_up_if(last, error)
        except (asyncpg.PostgresError, DBAPIError) as error:
            if sqlstate(error) not in REPEATED:
                raise
            _give_up_if(last, error)
        await asyncio.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 (jitter)
    raise AssertionError("unreachable")


def _repeat_or_raise(error: DatabaseUnavailable, keyed: Keyed | None, *, last: bool) -> None:
    """Return if the work is to be done again. What broke at COMMIT may have taken effect: only a key tells."""
    if error.committing and keyed is None:
        raise Unavailable(
            "The connection broke while this was being committed: look whether it took effect before you repeat it. "
            "With an idempotency key it could have been repeated safely."
        ) from error
    if error.connection_lost and not last:
        return
    if error.committing:
        raise Unavailable(
            "The connection broke while this was being committed. Repeat it with the same idempotency key: what took "
            "effect is not done again."
        ) from error
    raise error


def _give_up_if(last: bool, error: Exception) -> None:
    if last:
        raise Unavailable("Others write the same just now; try again in a moment.") from error
