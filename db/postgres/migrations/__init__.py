"""The schema's history. `upgrade(url)` brings a database to the newest revision; two servers may call it at once.

Most processes find nothing to do: alembic is imported by those that do.
"""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from db.errors import DomainError
from db.postgres.engine import Database, open_connection

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
MIGRATING = 4_203_001  # advisory lock: the second migrator waits, then finds nothing to do
REVISION = "SELECT version_num FROM alembic_version"


class NewerSchema(DomainError):
    """A newer version of the program has migrated the database."""


async def upgrade(url: str, revision: str = "head") -> None:
    """Raises NewerSchema."""
    if revision == "head" and await _revision(url) == head():
        return
    from alembic import command
    from alembic.script.revision import ResolutionError
    from alembic.util import CommandError

    try:
        await asyncio.to_thread(command.upgrade, config(url), revision)
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        raise NewerSchema(
            "The database belongs to a newer version of Labelgraph, whose schema this version does not know. "
            "Update this one, or name another database."
        ) from error


def move(connection: Connection, revision: str) -> None:
    """Bring the schema to a revision, up or down, in the transaction of a connection; no lock is waited for twice."""
    from alembic import command

    configuration = config("")
    configuration.attributes["connection"] = connection
    if revision == "base":
        command.downgrade(configuration, revision)
    else:
        command.upgrade(configuration, revision)


def knows(revision: str) -> bool:
    """Whether there is such a revision."""
    from alembic.script import ScriptDirectory

    return any(script.revision == revision for script in ScriptDirectory.from_config(config("")).walk_revisions())


def head() -> str:
    """The revision that this code expects: that of the last file."""
    last = max((HERE / "versions").glob("*.py"))
    found = re.search(r'^revision = "(.+)"$', last.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


async def current(database: Database) -> str | None:
    """The revision of a database; None before its first migration."""
    try:
        async with database.reading() as connection:
            revision: str | None = await connection.fetchval(REVISION)
    except asyncpg.UndefinedTableError:
        return None
    return revision


async def _revision(url: str) -> str | None:
    """The same of the database at a URL."""
    connection = await open_connection(url, statement_cache_size=0)
    try:
        revision: str | None = await connection.fetchval(REVISION)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision


def config(url: str) -> "Config":
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(HERE))
    configuration.attributes["url"] = url
    return configuration


def run_script(connection: Connection, path: Path) -> None:
    """Run a file of SQL statements as it is, in the migration's transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None
    await_only(driver.execute(path.read_text("utf-8")))
