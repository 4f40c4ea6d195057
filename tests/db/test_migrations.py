"""The migrations: what they make is in `db/postgres/schema.sql` and known to the models, and can be undone."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from sqlalchemy.engine import make_url

from api import embedded_postgres
from db.postgres import migrations

SNAPSHOT = Path(migrations.__file__).parents[1] / "schema.sql"
NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE)
REFRESH = "the tables changed: look at the difference, then run this test with LABELGRAPH_REFRESH=1"


async def test_the_tables_are_as_written_down(database_url: str) -> None:
    made = dump(database_url)
    if os.environ.get("LABELGRAPH_REFRESH"):
        SNAPSHOT.write_text(made)
    assert SNAPSHOT.read_text() == made, REFRESH


@pytest.mark.portable
async def test_the_models_know_every_table_and_column(database_url: str) -> None:
    await asyncio.to_thread(command.check, migrations.config(database_url))


@pytest.mark.portable
async def test_what_is_unmade_leaves_nothing_and_can_be_made_again(database_url: str) -> None:
    before = await described(database_url)
    await migrations.downgrade(database_url)
    assert await described(database_url) <= {"table alembic_version", "index alembic_version_pkc"}
    await migrations.upgrade(database_url)
    assert await described(database_url) == before


def dump(url: str) -> str:
    """The statements that make the tables, without what differs from one run to the next."""
    where = make_url(url)
    folder = embedded_postgres.find_programs(18)
    arguments = [str(folder / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"]
    address = [f"--host={where.query.get('host', where.host)}", f"--username={where.username}"]
    told = subprocess.run(
        [*arguments, *address, str(where.database)], check=True, capture_output=True, text=True
    ).stdout
    return re.sub(r"\n{2,}", "\n\n", NOISE.sub("", told)).strip() + "\n"


async def described(url: str) -> set[str]:
    """Everything of our own in the database, by kind and name; functions by their text."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("""
            SELECT CASE relkind WHEN 'i' THEN 'index ' ELSE 'table ' END || relname AS told FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'p', 'v')
            UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p
            LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
            WHERE pronamespace = 'public'::regnamespace AND d.objid IS NULL
        """)
        return {row["told"] for row in rows}
    finally:
        await connection.close()
