"""The settings of a session: sent when a connection is opened, or behind a transaction pooler set by each transaction.

A pooler gives every transaction some server connection, so neither settings nor prepared statements outlast it, and
PgBouncer refuses most parameters that a client sends when it connects.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from asyncpg import InternalClientError
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True)
class Limits:
    """How long Postgres may keep us waiting, in seconds, and how many connections each side may hold."""

    connect: float = 3.0
    read: float = 10.0
    write: float = 120.0
    lock: float = 10.0
    readers: int = 10
    writers: int = 10
    searches: int = 4  # of the readers, those that may do at once what may read every row; half for one token
    pooled: bool = False  # behind PgBouncer in transaction mode: nothing of a session outlasts a transaction


UNPREPARED: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",  # a name could be another client's, on the connection that comes next
}


def startup_parameters(limits: Limits, *, read_only: bool) -> dict[str, str]:
    """What is sent when a connection is opened. PgBouncer refuses all but a few, of which these two are."""
    parameters = {"application_name": "labelgraph", "timezone": "UTC"}
    if limits.pooled:
        return parameters
    if read_only:
        parameters["default_transaction_read_only"] = "on"
    return parameters | _settings(limits, read_only=read_only)


def _settings(limits: Limits, *, read_only: bool) -> dict[str, str]:
    return {
        "jit": "off",
        "max_parallel_workers_per_gather": "0",  # the cores are for other requests
        "random_page_cost": "1.1",  # solid-state disks; the default of 4 makes small writes read whole tables
        "lock_timeout": f"{limits.lock:g}s",
        "statement_timeout": f"{(limits.read if read_only else limits.write):g}s",
        "idle_in_transaction_session_timeout": "60s",
    }


@asynccontextmanager
async def bounded(connection: Any, limits: Limits) -> AsyncGenerator[None, None]:
    """A read-only transaction with the settings of a reader's session; ended by COMMIT, for notices go out with it."""
    settings = _settings(limits, read_only=True)
    local = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
    await connection.execute(f"BEGIN READ ONLY; {local}")
    try:
        yield
    except (TimeoutError, InternalClientError):  # the reader gives this connection up
        raise
    except BaseException:
        await _end(connection)
        raise
    await _end(connection)


async def _end(connection: Any) -> None:
    if not connection.is_closed():
        await connection.execute("COMMIT")


def bound_transactions(engine: AsyncEngine, limits: Limits) -> None:
    """Give every transaction of the engine the settings of a writer's session."""
    settings = _settings(limits, read_only=False)
    statement = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())

    @event.listens_for(engine.sync_engine, "begin")
    def bound(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
