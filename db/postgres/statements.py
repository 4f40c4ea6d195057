"""Statements with named values, run by the driver itself below a session's transaction.

A bulk write gives the ORM nothing to do, and costs a third of the time without it. Values are always parameters:
`:name` becomes `$1`; `::type` and string literals stay what they are.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

VALUE = re.compile(r"(?<![:\w]):([a-z_]\w*)")
DRIVER = "driver"


async def run(session: AsyncSession, sql: str, **values: Any) -> list[asyncpg.Record]:
    """The statement's rows."""
    text, names = _positional(sql)
    return await (await _driver(session)).fetch(text, *(values[name] for name in names))


async def first(session: AsyncSession, sql: str, **values: Any) -> asyncpg.Record | None:
    """The statement's first row, if it has one."""
    text, names = _positional(sql)
    return await (await _driver(session)).fetchrow(text, *(values[name] for name in names))


async def count(session: AsyncSession, sql: str, **values: Any) -> int:
    """How many rows the statement wrote."""
    text, names = _positional(sql)
    tag = await (await _driver(session)).execute(text, *(values[name] for name in names))
    return int(tag.rsplit(" ", 1)[-1])


async def connection_of(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection below a session, in its transaction, which SQLAlchemy begins at the first statement."""
    connection = await session.connection()
    await connection.exec_driver_sql("SELECT")
    return cast(asyncpg.Connection, (await connection.get_raw_connection()).driver_connection)


async def _driver(session: AsyncSession) -> asyncpg.Connection:
    known: Mapping[Any, Any] = session.info
    if DRIVER not in known:
        session.info[DRIVER] = await connection_of(session)
    connection: asyncpg.Connection = session.info[DRIVER]
    return connection


@lru_cache(maxsize=512)
def _positional(sql: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(VALUE.findall(sql)))
    return VALUE.sub(lambda match: f"${names.index(match[1]) + 1}", sql), names
