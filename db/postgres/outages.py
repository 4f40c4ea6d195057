"""Outages: which errors of the driver mean that Postgres is unreachable, full or overloaded, and the error for callers.

The rest of the project classifies errors of Postgres here only. What is not listed is an error of a statement, or a
defect. A transaction that Postgres rolled back is done again, from its start.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from db.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

LOG_PAUSE: Final = 5.0  # seconds between two log lines about an outage, however many requests meet it
UNREACHABLE: Final = "The database cannot be reached now; try again in a moment."
NO_ANSWER: Final = "The database does not answer now; try again in a moment."
OVERLOADED: Final = "The database has no room for more work now; try again in a moment."
DISK_FULL: Final = "The database's disk is full. The server's operator has to make room; then try again."
TOO_SLOW: Final = "The database was too busy to do it in time; try again in a moment."
READ_ONLY: Final = "The database accepts no writes now; try again in a moment."

# By SQLSTATE, or by its class, the first two characters.
MESSAGES: Final = {
    "08": UNREACHABLE,  # connection exceptions
    "28": UNREACHABLE,  # the server refuses our login
    "3D000": UNREACHABLE,  # the database was dropped
    "57P01": UNREACHABLE,  # the server shuts down, or ended our connection
    "57P02": UNREACHABLE,  # the server crashed
    "57P03": UNREACHABLE,  # it starts, stops or recovers
    "57P04": UNREACHABLE,  # the database was dropped while we were connected
    "57P05": UNREACHABLE,  # our connection was idle for too long
    "25P03": UNREACHABLE,  # a transaction of ours was idle for too long
    "25006": READ_ONLY,
    "53100": DISK_FULL,
    "53": OVERLOADED,  # memory, connections, other resources
    "58030": DISK_FULL,  # its files cannot be written or read
}
DRIVER_ERRORS: Final = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ANY_ERROR: Final = (asyncpg.PostgresError, *DRIVER_ERRORS)  # whatever asyncpg raises
# The transaction was rolled back, and may succeed when it is repeated.
ROLLED_BACK: Final = frozenset({"40001", "40P01", "55P03"})
CANCELED: Final = "57014"  # a statement took longer than it may
MAX_ATTEMPTS: Final = 6  # of a transaction


class DatabaseUnavailable(Unavailable):
    """Postgres cannot do it now. `connection_lost`: on a new connection it may succeed at once. `committing`: the error
    came during COMMIT, which may have taken effect."""

    def __init__(self, message: str = UNREACHABLE, *, connection_lost: bool = True, committing: bool = False) -> None:
        super().__init__(message)
        self.connection_lost = connection_lost
        self.committing = committing


@dataclass(slots=True)
class Outages:
    """Logs outages, and raises the error that callers get."""

    _logged: float = float("-inf")

    def reraise(self, error: Exception, *, committing: bool = False) -> NoReturn:
        """Raises DatabaseUnavailable instead of an error that means it."""
        unavailable, state = explain(error, committing=committing), sqlstate(error)
        if unavailable is not None or state == CANCELED:
            what = "canceled a statement" if unavailable is None else "is not available"
            self._log("the database %s: %s (%s)", what, type(error).__name__, state or "no state")
        if unavailable is None:
            raise error
        raise unavailable from error

    def _log(self, message: str, *values: str) -> None:
        if time.monotonic() - self._logged > LOG_PAUSE:
            self._logged = time.monotonic()
            log.warning(message, *values)


def explain(error: BaseException, *, committing: bool = False) -> DatabaseUnavailable | None:
    """The error for callers, if this error of the driver or of SQLAlchemy means that Postgres is unavailable."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(OVERLOADED, connection_lost=False)
    state = sqlstate(error)
    if state is not None:
        message = MESSAGES.get(state) or MESSAGES.get(state[:2])
        lost = message == UNREACHABLE
        return DatabaseUnavailable(message, connection_lost=lost, committing=committing and lost) if message else None
    cause = _cause(error)
    if isinstance(cause, TimeoutError):  # a running server ends statements itself, and sooner
        return DatabaseUnavailable(NO_ANSWER, connection_lost=False, committing=committing)
    return DatabaseUnavailable(committing=committing) if _is_lost(error, cause) else None


def explain_to_client(error: BaseException) -> Unavailable | None:
    """The error for a client, if what left `reading` or `writing` means that the same request may succeed later. To
    jobs and transactions a canceled statement is none such: repeated, they may be canceled each time."""
    if isinstance(error, Unavailable):
        return error
    state = sqlstate(error)
    if state == CANCELED or state in ROLLED_BACK:
        return DatabaseUnavailable(TOO_SLOW, connection_lost=False)
    return None if state is None else explain(error)


def is_rolled_back(error: BaseException) -> bool:
    """Whether the transaction was rolled back for certain, and the same one may succeed."""
    return sqlstate(error) in ROLLED_BACK


async def retry(transaction: Callable[[], Awaitable[T]], is_transient: Callable[[Exception], bool]) -> T:
    """The transaction's result. Each pause is about twice as long as the one before, two seconds in all at most. Raises
    the error of the last attempt, or the first one that is not transient."""
    attempts = 1
    while True:
        try:
            return await transaction()
        except Exception as error:
            if attempts == MAX_ATTEMPTS or not is_transient(error):
                raise
        await asyncio.sleep(random.uniform(0.01, 0.03) * 2**attempts)  # noqa: S311 (jitter)
        attempts += 1


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of an error of Postgres; None for other errors."""
    state: str | None = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return state


def _is_lost(error: BaseException, cause: BaseException) -> bool:
    """Whether the connection broke, or could not be made. The driver raises internal errors when Postgres is killed in
    the middle of a message; those that are ValueErrors are about a value of a statement."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, InvalidRequestError):  # the pool opened new connections, which were closed at once
        return "connection is closed" in str(error)
    return isinstance(cause, DRIVER_ERRORS) and not isinstance(cause, ValueError)


def _cause(error: BaseException) -> BaseException:
    """The driver's own error, which SQLAlchemy wraps twice."""
    while isinstance(error, DBAPIError) or type(error).__module__.startswith("sqlalchemy.dialects"):
        below = getattr(error, "orig", None) or error.__cause__
        if below is None:
            break
        error = below
    return error
