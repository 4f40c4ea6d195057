"""A unit of work in one transaction, tried again as long as nothing was committed.

Deadlocks, lock waits, a fallen server, and the races that only a constraint decides roll back; done again, the same
work meets what the other writer has committed. When a connection breaks during COMMIT, the outcome is unknown:
only work with an idempotency key is tried again then, because its key shows whether it was committed.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Unavailable
from db.history import idempotency
from db.history.changes import RetryTransaction
from db.history.idempotency import Keyed
from db.postgres.engine import Database
from db.postgres.outages import DatabaseUnavailable, is_rolled_back, retry, sqlstate

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]  # what is done in a transaction; it may be done again from its start
CONSTRAINTS: Final = frozenset({"23505", "23503"})  # unique and foreign keys, which decide races


async def write(database: Database, work: Work[T], outcome: type[T], keyed: Keyed | None = None) -> T:
    """Do `work` once and commit it. With a key, work that was done before is not done again: its outcome is given."""

    async def transaction() -> T:
        async with database.writing() as session:
            return await (work(session) if keyed is None else idempotency.once(session, keyed, work, outcome))

    def is_transient(error: Exception) -> bool:
        if isinstance(error, DatabaseUnavailable):
            return error.connection_lost and (keyed is not None or not error.committing)
        return isinstance(error, RetryTransaction) or is_rolled_back(error) or sqlstate(error) in CONSTRAINTS

    try:
        return await retry(transaction, is_transient)
    except DatabaseUnavailable as error:
        if not error.committing:
            raise
        if keyed is None:
            message = (
                "The database connection was lost during the commit: check whether the mutation took effect "
                "before you repeat it. With an idempotency key, it can be repeated safely."
            )
        else:
            message = (
                "The database connection was lost during the commit. Repeat the request with the same "
                "idempotency key: it takes effect once."
            )
        raise Unavailable(message) from error
    except Exception as error:
        if not is_transient(error):
            raise
        raise Unavailable("Others are changing the same data; try again in a moment.") from error
