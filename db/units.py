"""A unit of work that survives what passes: one transaction, tried again as long as nothing was committed.

Deadlocks, lock waits, a fallen server, and the races that only a constraint can settle roll back; done again, the
same work meets what the other has committed and says the right thing. A connection that breaks during COMMIT leaves
it open what happened: only a keyed unit is tried again then, because its key tells.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from db import idempotency
from db.access import Overtaken
from db.engine import Database
from db.errors import DomainError, Unavailable
from db.idempotency import Keyed

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]  # what is done in a transaction; it may be done again from its start
TRIES = 6
ROLLED_BACK = frozenset({"40001", "40P01", "55P03", "23505", "23503"})
SERVER_GONE = frozenset({"57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006"})


@dataclass(slots=True)
class _Try:
    committing: bool = False


async def write(database: Database, work: Work[T], outcome: type[T], keyed: Keyed | None = None) -> T:
    """Do `work` once and commit it. With a key, work that was done before is not done again: its outcome is given."""
    for attempt in range(1, TRIES + 1):
        trying = _Try()
        try:
            return await _once(database, work, outcome, keyed, trying)
        except Overtaken:
            _or_give_up(last=attempt == TRIES)
        except DomainError:
            raise
        except NoConnection as error:
            raise Unavailable("Too much is being written now; try again in a moment.") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, OSError) as error:
            _may_repeat(error, trying, keyed, last=attempt == TRIES)
        await asyncio.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 (jitter)
    raise AssertionError("unreachable")


async def _once(
    database: Database,
    work: Work[T],
    outcome: type[T],
    keyed: Keyed | None,
    trying: _Try,
) -> T:
    async with database.writing() as session:
        done = await (work(session) if keyed is None else idempotency.once(session, keyed, work, outcome))
        trying.committing = True
    return done


def _may_repeat(error: Exception, trying: _Try, keyed: Keyed | None, *, last: bool) -> None:
    """Return if the work may be done again; otherwise raise what is to be told."""
    state = _state(error)
    if state in ROLLED_BACK:
        _or_give_up(last=last)
        return
    if not (state in SERVER_GONE or _is_cut(error, state)):
        raise error
    if trying.committing and keyed is None:
        raise Unavailable(
            "The connection broke while this was being committed: look whether it took effect before you repeat it. "
            "With an idempotency key it could have been repeated safely."
        ) from error
    if last:
        raise Unavailable from error


def _or_give_up(*, last: bool) -> None:
    if last:
        raise Unavailable("Others write the same just now; try again in a moment.")


def _state(error: Exception) -> str | None:
    state: str | None = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return state


def _is_cut(error: Exception, state: str | None) -> bool:
    """Whether the connection went, or never came; both drivers' layers tell it in their own way."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or state is None
    return isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.PostgresConnectionError)
