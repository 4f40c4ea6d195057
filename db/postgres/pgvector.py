"""The extension pgvector, and what needs it: made where Postgres has it, whenever a server starts or migrates.

A Postgres without it works: what it lacks is refused. So none of this is in the migrations, which all databases have.
"""

import hashlib
import logging
from pathlib import Path
from typing import Final

import asyncpg

from db.errors import DomainError
from db.postgres import sql
from db.postgres.engine import open_connection

log = logging.getLogger(__name__)

OLDEST: Final = (0, 8)  # the first with iterative scans
LOCK: Final = 4_203_002  # advisory: one at a time
SCRIPT: Final = Path(__file__).with_suffix(".sql").read_text("utf-8")
DIGEST: Final = hashlib.sha256(SCRIPT.encode()).hexdigest()[:16]  # of the tables that were made, in a comment on one
STATE: Final = """
    SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS installed,
        (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available,
        to_regtype('halfvec') IS NOT NULL AS is_visible,
        obj_description(to_regclass('embedding'), 'pg_class') AS digest
"""
TABLE: Final = "embedding"
IS_ENABLED: Final = "to_regclass('embedding') IS NOT NULL"
LACKS: Final = (
    "This server's Postgres has no pgvector, which embeddings need: install pgvector 0.8 or newer, run `CREATE "
    "EXTENSION vector` in the database as a superuser, and start the server again."
)


class WithoutEmbeddings(DomainError):
    """Postgres lacks pgvector."""

    code = "FEATURE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__(LACKS, feature="EMBEDDINGS")


async def enable(url: str) -> bool:
    """Make what needs pgvector, if Postgres has that and the role may. Whether embeddings can be stored then."""
    connection = await open_connection(url, statement_cache_size=0)
    try:
        return await enable_on(connection)
    finally:
        await connection.close()


async def enable_on(connection: asyncpg.Connection) -> bool:
    """The same in the transaction of a migrated database."""
    async with connection.transaction():
        state = await connection.fetchrow(STATE)
        if state is not None and state["digest"] == DIGEST:
            return True
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        state = await connection.fetchrow(STATE)
        assert state is not None
        version = state["installed"] or state["available"]
        if version is None or _parsed(version) < OLDEST:
            log.info("embeddings are not available: Postgres has no pgvector %s", ".".join(map(str, OLDEST)))
            return False
        try:
            async with connection.transaction():
                if state["installed"] is None:
                    await connection.execute("CREATE EXTENSION vector")
                elif not state["is_visible"]:
                    log.warning("embeddings are not available: pgvector is in a schema that is not in search_path")
                    return False
                if state["digest"] != DIGEST:
                    await connection.execute(SCRIPT)
                    await connection.execute(f"COMMENT ON TABLE embedding IS '{DIGEST}'")
        except asyncpg.InsufficientPrivilegeError as error:
            log.warning("embeddings are not available: %s", error)
            return False
    return True


async def expect_enabled(runner: sql.Runner) -> None:
    """Raises WithoutEmbeddings."""
    if not await sql.value(runner, f"SELECT {IS_ENABLED}"):
        raise WithoutEmbeddings


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
