"""A unit of work in one transaction, tried again as long as nothing was committed.

Deadlocks, lock waits, a fallen server, and the races that only a constraint decides roll back; done again, the same
work meets what the other writer has committed. When a connection breaks during COMMIT, the outcome is unknown:
only work with an idempotency key is tried again then, because its key shows whether it was committed.

What has to wait for its turn with a dataset, or for a request with the same key, waits without a connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Unavailable
from db.history import idempotency, large_changes
from db.history.changes import RetryTransaction
from db.history.idempotency import Keyed, KeyInUse
from db.history.turns import TURNS, Crowded, Turns, turns
from db.postgres.engine import Database
from db.postgres.outages import MAX_ATTEMPTS, DatabaseUnavailable, is_rolled_back, retry, sqlstate

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]  # what is done in a transaction; it may be done again from its start
CONSTRAINTS: Final = frozenset({"23505", "23503"})  # unique and foreign keys, which decide races
PAUSE, LONGEST_PAUSE = 0.02, 0.5  # seconds before a key is tried again, twice as long each time
KEY_WAIT: Final = 1.0  # how long a key that is in use is waited for, in times of that for a lock
RETRY_AFTER: Final = 5  # seconds
OTHERS: Final = "Others are changing the same data; try again in a moment."


async def write(database: Database, work: Work[T], outcome: type[T], keyed: Keyed | None = None) -> T:
    """Do `work` once and commit it. With a key, work that was done before is not done again: its outcome is given."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + KEY_WAIT * database.limits.lock, PAUSE
    waits_for: int | None = None  # the dataset
    async with large_changes.shown(database) as large:
        while True:
            async with turns(database) as own:
                if waits_for is not None:
                    await _wait_for_turn(database, own, waits_for)
                try:
                    return await _attempt(database, work, outcome, keyed, {TURNS: own, large_changes.LARGE: large})
                except Crowded as crowded:
                    waits_for = crowded.dataset_id
                    continue
                except KeyInUse:
                    if loop.time() >= until:
                        raise in_progress() from None
            async with database.unused():
                await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _wait_for_turn(database: Database, own: Turns, dataset_id: int) -> None:
    """As long as a transaction with all its attempts would wait for locks."""
    try:
        async with database.unused(), asyncio.timeout(patience(database)):
            await own.take(dataset_id)
    except TimeoutError as error:
        raise Unavailable(OTHERS) from error


async def _attempt(
    database: Database, work: Work[T], outcome: type[T], keyed: Keyed | None, info: Mapping[str, Any]
) -> T:
    """`info`: what the work finds in its session's."""

    async def transaction() -> T:
        async with database.writing() as session:
            session.info.update(info)
            done = await (work(session) if keyed is None else idempotency.once(session, keyed, work, outcome))
            await large_changes.finish(session)
            return done

    def is_transient(error: Exception) -> bool:
        if isinstance(error, DatabaseUnavailable):
            return error.connection_lost and (keyed is not None or not error.committing)
        return isinstance(error, RetryTransaction) or is_rolled_back(error) or sqlstate(error) in CONSTRAINTS

    try:
        return await retry(transaction, is_transient)
    except DatabaseUnavailable as error:
        if not error.committing:
            raise
        raise unknown_outcome(keyed) from error
    except Exception as error:
        if not is_transient(error):
            raise
        raise Unavailable(OTHERS) from error


def patience(database: Database) -> float:
    """For how many seconds a write waits for others at most."""
    return database.limits.lock * MAX_ATTEMPTS


def unknown_outcome(keyed: Keyed | None) -> Unavailable:
    """The connection was lost during the commit."""
    if keyed is None:
        return Unavailable(
            "The database connection was lost during the commit: check whether the mutation took effect "
            "before you repeat it. With an idempotency key, it can be repeated safely."
        )
    return Unavailable(
        "The database connection was lost during the commit. Repeat the request with the same "
        "idempotency key: it takes effect once."
    )


def in_progress() -> Unavailable:
    message = (
        "An earlier request with this idempotency key is still running. Send it again in a while: it gets the same "
        "response."
    )
    return Unavailable(message, code="REQUEST_IN_PROGRESS", retryAfter=RETRY_AFTER)
