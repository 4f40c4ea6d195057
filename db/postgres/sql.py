"""Statements in SQL, run by the driver itself below a session's transaction, or on a connection.

A bulk write needs nothing of the ORM, and costs a third of the time without it. Values are always parameters:
`:name` becomes `$1`; comments, string literals and `::type` stay what they are.

Named statements are in a `.sql` file next to the module that runs them:

    -- name: lock_samples
    SELECT id FROM sample WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR NO KEY UPDATE

    SQL: Final = sql.load(__file__)  # of merge.py: merge.sql
    rows = await sql.run(session, SQL.lock_samples, ids=ids)

A test prepares each of them on a migrated database. A statement with gaps for `str.format` names a value for each of
them, so that the test can fill them in: `-- example: keys = content, size; key = content`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

VALUE = re.compile(r"--[^\n]*|'[^']*'|(?<![:\w]):([a-z_]\w*)")  # not in comments and literals
NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
DRIVER = "driver"
TIMEOUT = "timeout"  # in seconds, of each statement of a session that may take longer than others

Runner = AsyncSession | asyncpg.Connection


class Statements:
    """The statements of a file, as attributes."""

    def __init__(self, path: Path) -> None:
        for name, text in NAMED.findall(path.read_text("utf-8")):
            setattr(self, name, text.strip())

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"there is no statement named {name}")


def load(module: str, file: str | None = None) -> Statements:
    """The statements of the `.sql` file of a module's name, or of `file` in the same folder.

    Raises LookupError if the file lacks one that the module names as `SQL.…`: at import, not when a rare branch runs.
    """
    path = Path(module).with_name(file) if file else Path(module).with_suffix(".sql")
    statements = Statements(path)
    if missing := set(re.findall(r"\bSQL\.(\w+)", Path(module).read_text("utf-8"))) - vars(statements).keys():
        raise LookupError(f"{path} has no statement named {', '.join(sorted(missing))}")
    return statements


async def run(runner: Runner, statement: str, /, **values: Any) -> list[asyncpg.Record]:
    """The statement's rows."""
    text, arguments = positional(statement, values)
    return await (await connection_of(runner)).fetch(text, *arguments, timeout=_timeout(runner))


async def first(runner: Runner, statement: str, /, **values: Any) -> asyncpg.Record | None:
    """The statement's first row, if it has one."""
    text, arguments = positional(statement, values)
    return await (await connection_of(runner)).fetchrow(text, *arguments, timeout=_timeout(runner))


async def value(runner: Runner, statement: str, /, **values: Any) -> Any:
    """The first column of the statement's first row, None without a row."""
    text, arguments = positional(statement, values)
    return await (await connection_of(runner)).fetchval(text, *arguments, timeout=_timeout(runner))


async def count(runner: Runner, statement: str, /, *, timeout: float | None = None, **values: Any) -> int:
    """How many rows the statement wrote. `timeout` is in seconds, instead of the connection's own."""
    text, arguments = positional(statement, values)
    tag = await (await connection_of(runner)).execute(text, *arguments, timeout=timeout or _timeout(runner))
    return int(tag.rsplit(" ", 1)[-1])


def positional(statement: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A statement as asyncpg takes it, with `$1`, and its arguments."""
    text, names = numbered(statement)
    return text, [values[name] for name in names]


@lru_cache(maxsize=512)
def numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """A statement as asyncpg takes it, and the names of its values: `$1` is that of the first."""
    names = tuple(dict.fromkeys(name for name in VALUE.findall(statement) if name))
    return VALUE.sub(lambda match: f"${names.index(match[1]) + 1}" if match[1] else match[0], statement), names


def _timeout(runner: Runner) -> float | None:
    return runner.info.get(TIMEOUT) if isinstance(runner, AsyncSession) else None


async def connection_of(runner: Runner) -> asyncpg.Connection:
    """The asyncpg connection below a session, in its transaction, which SQLAlchemy begins at the first statement."""
    if not isinstance(runner, AsyncSession):
        return runner
    if DRIVER not in runner.info:
        connection = await runner.connection()
        await connection.exec_driver_sql("SELECT")
        runner.info[DRIVER] = await raw_connection(connection)
    return cast(asyncpg.Connection, runner.info[DRIVER])


async def raw_connection(connection: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection below one of SQLAlchemy, perhaps without a transaction yet."""
    return cast(asyncpg.Connection, (await connection.get_raw_connection()).driver_connection)
