"""The settings of a session: sent when a connection is opened, or set in each transaction behind a pooler.

A transaction pooler uses any of its connections for each transaction, so neither settings nor prepared statements last
longer than that, and PgBouncer refuses most parameters that a client sends when it connects.
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
    """Timeouts in seconds, and numbers of connections."""

    connect: float = 3.0
    read: float = 10.0
    write: float = 120.0
    lock: float = 10.0
    readers: int = 10
    writers: int = 10
    searches: int = 4  # of the readers, those that may run costly reads at once; half of them for one token
    pooled: bool = False  # behind PgBouncer in transaction mode


NO_PREPARED_STATEMENTS: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",  # on the next connection a name could be another client's
}


def startup_parameters(limits: Limits, *, read_only: bool) -> dict[str, str]:
    """Parameters for a new connection. PgBouncer accepts few; the first two are among them."""
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
async def read_only_transaction(connection: Any, limits: Limits) -> AsyncGenerator[None, None]:
    """With the settings of a reader's session. It ends with COMMIT, which sends its notifications."""
    settings = _settings(limits, read_only=True)
    local = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
    await connection.execute(f"BEGIN READ ONLY; {local}")
    is_broken = False
    try:
        yield
    except (TimeoutError, InternalClientError):  # the connection is closed by whoever took it
        is_broken = True
        raise
    finally:
        if not is_broken and not connection.is_closed():
            await connection.execute("COMMIT")


def set_in_each_transaction(engine: AsyncEngine, limits: Limits) -> None:
    """Give every transaction of the engine the settings of a writer's session."""
    settings = _settings(limits, read_only=False)
    statement = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())

    @event.listens_for(engine.sync_engine, "begin")
    def set_all(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
