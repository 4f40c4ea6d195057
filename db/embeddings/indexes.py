"""The indexes of embeddings: one for each model that has many, made by the workers, without stopping anybody.

With fewer, all are compared: that takes some tens of milliseconds, and is exact. An index is made once a model's
embeddings are stored: that is ten times as fast as adding each to it. Later ones are added to it.
"""

import logging
from typing import Final

import asyncpg

from db.postgres import sql
from db.postgres.engine import Database, open_connection
from db.postgres.pgvector import IS_ENABLED

SQL: Final = sql.load(__file__)
MANY: Final = 20_000  # embeddings of a model: with more, it gets an index
BUILDING: Final = 4_203_003  # advisory lock: one index at a time
MIB: Final = 1 << 20
LEAST_MEMORY, MOST_MEMORY = 64, 2_048  # MiB, to build an index in; one that does not fit takes many times as long

log = logging.getLogger(__name__)


async def sweep(database: Database, url: str, *, many: int = MANY) -> int:
    """Make the indexes that are missing, and drop those of models that are gone. `url`: of Postgres itself, without a
    pooler. How many were made."""
    async with database.reading() as connection:
        if not await connection.fetchval(f"SELECT {IS_ENABLED}"):
            return 0
        due = await sql.run(connection, SQL.due, many=many)
    if not due:
        return 0
    connection = await open_connection(url, statement_cache_size=0)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", BUILDING):
            return 0
        await connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        made = 0
        for row in await sql.run(connection, SQL.due, many=many):
            made += await _rebuild(connection, row)
        return made
    finally:
        await connection.close()


async def _rebuild(connection: asyncpg.Connection, row: asyncpg.Record) -> bool:
    """Drop a model's index, and make it again if the model is still there: whether it was made. Each statement is a
    transaction of its own, as CONCURRENTLY requires. If it is interrupted, the index is invalid, and made again."""
    name = f"embedding_of_{row['id']}"
    if row["is_there"]:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    if row["dimension"] is None:
        return False
    log.info("an index of %s embeddings of model %s is made", row["embeddings"], row["id"])
    needed = row["embeddings"] * (min(2 * row["dimension"], 1_024) + 1_000) // MIB
    memory = min(max(needed, LEAST_MEMORY), MOST_MEMORY)
    await connection.execute(f"SET maintenance_work_mem = '{memory}MB'; SET max_parallel_maintenance_workers = 0")
    await sql.run(connection, SQL.set_center, model_id=row["id"])
    key = await sql.value(connection, SQL.index_key, dimension=row["dimension"])
    await connection.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON embedding USING hnsw ({key}) WHERE model_id = {row['id']}"
    )
    return True
