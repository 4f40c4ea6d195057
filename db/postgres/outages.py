"""When Postgres is away, full or overloaded: what its driver raises then, and what a caller is told.

Everything else in the project asks here, so that one failure is called the same at every door. Whatever is not listed
here is an error of a statement, or a defect of ours.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import asyncpg
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from db.errors import DomainError, Unavailable

log = logging.getLogger(__name__)

LOG_PAUSE: Final = 5.0  # seconds between two log lines about an outage, however many requests meet it
AWAY: Final = "The database cannot be reached now; try again in a moment."
SILENT: Final = "The database does not answer now; try again in a moment."
CROWDED: Final = "The database has no room for more work now; try again in a moment."
FULL: Final = "The database's disk is full. The server's operator has to make room; then try again."
READ_ONLY: Final = "The database takes no writes now; try again in a moment."

# By SQLSTATE, or by its class (the first two characters).
MESSAGES: Final = {
    "08": AWAY,  # connection exceptions
    "28": AWAY,  # the server refuses our login
    "3D000": AWAY,  # the database was dropped
    "57P01": AWAY,  # the server is told to shut down, or ended our connection
    "57P02": AWAY,  # the server crashed
    "57P03": AWAY,  # it starts, stops or recovers
    "57P04": AWAY,  # the database was dropped while we were connected
    "57P05": AWAY,  # our connection was idle for too long
    "25P03": AWAY,  # a transaction of ours was idle for too long
    "25006": READ_ONLY,
    "53100": FULL,
    "53": CROWDED,  # memory, connections, other resources
    "58030": FULL,  # its files cannot be written or read
}
DRIVER_ERRORS: Final = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ANY_ERROR: Final = (asyncpg.PostgresError, *DRIVER_ERRORS)  # whatever asyncpg raises
# The transaction was rolled back for certain, and the same one may succeed.
ROLLED_BACK: Final = frozenset({"40001", "40P01", "55P03"})


class DatabaseUnavailable(Unavailable):
    """Postgres cannot do it now. `connection_lost`: on a new connection the same work may succeed at once.
    `committing`: it happened during COMMIT, and may have taken effect."""

    def __init__(self, message: str = AWAY, *, connection_lost: bool = True, committing: bool = False) -> None:
        super().__init__(message)
        self.connection_lost = connection_lost
        self.committing = committing


@dataclass(slots=True)
class Outages:
    """Tells the operator of outages, and callers what they mean."""

    _logged: float = float("-inf")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raises DatabaseUnavailable in the place of the errors that mean it."""
        try:
            yield
        except DomainError:
            raise
        except Exception as error:
            self.reraise(error)

    def reraise(self, error: Exception, *, committing: bool = False) -> NoReturn:
        explained = explain(error, committing=committing)
        if explained is None:
            raise error
        if time.monotonic() - self._logged > LOG_PAUSE:
            self._logged = time.monotonic()
            log.warning("the database is not available: %s (%s)", type(error).__name__, sqlstate(error) or "no state")
        raise explained from error


def explain(error: BaseException, *, committing: bool = False) -> DatabaseUnavailable | None:
    """What an error of the driver, or of SQLAlchemy, says about Postgres; None if it says nothing."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable(CROWDED, connection_lost=False)
    state = sqlstate(error)
    if state is not None:
        message = MESSAGES.get(state) or MESSAGES.get(state[:2])
        lost = message == AWAY
        return DatabaseUnavailable(message, connection_lost=lost, committing=committing and lost) if message else None
    cause = _cause(error)
    if isinstance(cause, TimeoutError):  # a running server ends statements itself, and sooner
        return DatabaseUnavailable(SILENT, connection_lost=False, committing=committing)
    return DatabaseUnavailable(committing=committing) if _is_lost(error, cause) else None


def sqlstate(error: BaseException) -> str | None:
    """The five characters with which Postgres says what went wrong; None if it was not Postgres that spoke."""
    state: str | None = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return state


def _is_lost(error: BaseException, cause: BaseException) -> bool:
    """Whether the connection broke, or never came. The driver's internal errors come when Postgres is killed in the
    middle of a message; those that are ValueErrors are about a value of ours."""
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
