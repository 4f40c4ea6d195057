"""The migrations: what they make is in `db/postgres/schema.sql` and known to the models, and can be undone."""

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from api import embedded_postgres
from db import jobs
from db.postgres import engine, migrations

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
    """But for those tables that only statements in SQL use, which `env.py` lists."""
    await asyncio.to_thread(command.check, migrations.config(database_url))


@pytest.mark.portable
async def test_what_is_unmade_leaves_nothing_and_can_be_made_again(database_url: str) -> None:
    before = await described(database_url)
    await downgrade(database_url)
    assert await described(database_url) <= {"table alembic_version", "index alembic_version_pkc"}
    await migrations.upgrade(database_url)
    assert await described(database_url) == before


def test_the_newest_revision_is_that_of_the_last_file() -> None:
    assert migrations.head() == ScriptDirectory.from_config(migrations.config("")).get_current_head()


async def downgrade(url: str, revision: str = "base") -> None:
    await asyncio.to_thread(command.downgrade, migrations.config(url), revision)


def dump(url: str) -> str:
    """The statements that make the tables, without what differs from one run to the next."""
    where = make_url(url)
    folder = embedded_postgres.find_programs(18)
    arguments = [str(folder / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"]
    address = [f"--host={where.query.get('host', where.host)}", f"--username={where.username}"]
    dumped = subprocess.run(
        [*arguments, *address, str(where.database)], check=True, capture_output=True, text=True
    ).stdout
    return re.sub(r"\n{2,}", "\n\n", NOISE.sub("", dumped)).strip() + "\n"


async def described(url: str) -> set[str]:
    """Everything of our own in the database, by kind and name; functions by their text."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("""
            SELECT CASE relkind WHEN 'i' THEN 'index ' ELSE 'table ' END || relname AS entry FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'p', 'v')
            UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p
            LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
            WHERE pronamespace = 'public'::regnamespace AND d.objid IS NULL
        """)
        return {row["entry"] for row in rows}
    finally:
        await connection.close()


async def test_jobs_that_were_queued_in_the_queue_library_are_found(database_url: str) -> None:
    """Those without a row there too, whose worker had died; what was not due is not due."""
    await downgrade(database_url, "0013")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO dataset (name, type, input_path, created_by) VALUES ('a', 'IMAGE_CLASSIFICATION', '/', 'ann')"
        )
        rows = await connection.fetch(
            "INSERT INTO job (dataset_id, kind, requested_by, cancel_requested)"
            " SELECT dataset.id, 'PURGE', 'ann', n = 4 FROM dataset, generate_series(1, 4) AS n RETURNING job.id"
        )
        due, later, lost, canceled = (row["id"] for row in rows)
        for job_id, wait in ((due, 0), (later, 3600), (canceled, 0)):
            await connection.execute(
                "INSERT INTO pgqueuer (priority, status, entrypoint, dedupe_key, execute_after)"
                " VALUES (0, 'queued', 'labelgraph_job', 'job:' || $1::bigint, now() + $2 * interval '1 s')",
                job_id,
                wait,
            )
        await migrations.upgrade(database_url)
        async with engine.connect(database_url) as database:
            claims = [await jobs.claim(database, 7) for _ in range(3)]
        assert sorted(claim.id for claim in claims if claim is not None) == [due, lost]
        assert await connection.fetchval("SELECT status FROM job WHERE id = $1", canceled) == "CANCELED"
        await downgrade(database_url, "0013")
        assert await connection.fetchval("SELECT array_agg(dedupe_key) FROM pgqueuer") == [f"job:{later}"]
    finally:
        await connection.close()


async def test_an_import_that_was_interrupted_before_the_upgrade_reads_its_manifest_again(database_url: str) -> None:
    await downgrade(database_url, "0013")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("""
            INSERT INTO dataset (name, type, input_path, created_by) VALUES ('a', 'IMAGE_CLASSIFICATION', '/', 'ann');
            INSERT INTO job (dataset_id, kind, status, requested_by, checkpoint)
                SELECT id, 'IMPORT', 'RUNNING', 'ann', '{"position": 5, "last": 9}' FROM dataset;
            INSERT INTO import_line (job_id, position, path, origin, entry)
                SELECT id, 6, 'a.png', 'a.png', '{}' FROM job;
        """)
        await migrations.upgrade(database_url)
        assert await connection.fetchval("SELECT checkpoint FROM job") == "{}"
        assert await connection.fetchval("SELECT count(*) FROM import_line") == 0
    finally:
        await connection.close()


async def test_an_import_that_waits_is_found_under_its_new_options_and_its_old_ones(database_url: str) -> None:
    await downgrade(database_url, "0024")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("""
            INSERT INTO dataset (name, type, input_path, created_by) VALUES ('a', 'IMAGE_CLASSIFICATION', '/', 'ann');
            INSERT INTO job (dataset_id, kind, requested_by, arguments)
                SELECT id, 'IMPORT', 'ann', '{"manifest": "/V1.manifest", "existing": "KEEP"}' FROM dataset;
        """)
        await migrations.upgrade(database_url)
        row = await connection.fetchrow("SELECT arguments::text, format FROM job")
        assert row is not None
        assert json.loads(row["arguments"]) == {"path": "/V1.manifest", "existing": "KEEP"}
        assert row["format"] == "MODELARTS_MANIFEST"
        await downgrade(database_url, "0024")
        assert json.loads(await connection.fetchval("SELECT arguments::text FROM job"))["manifest"] == "/V1.manifest"
    finally:
        await connection.close()


async def test_stored_shapes_and_versions_get_the_words_of_the_schema(database_url: str) -> None:
    """In the working set and in the past, which gets no row by that; other rows are not written."""
    await downgrade(database_url, "0017-1")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("""
            INSERT INTO dataset (name, type, input_path, created_by) VALUES ('a', 'OBJECT_DETECTION', '/', 'ann');
            INSERT INTO label (dataset_id, name, since) SELECT id, 'cat', 0 FROM dataset;
            INSERT INTO source (dataset_id, path, size, modified_at, etag)
                SELECT id, 'a.png', 1, now(), '' FROM dataset;
            INSERT INTO sample (dataset_id, source_id, path, created_at, label_ids, state, since)
                SELECT dataset_id, source.id, path, now(), ARRAY(SELECT id FROM label), 'LABELED', 0 FROM source;
            INSERT INTO version (dataset_id, name, revision, created_by, total, labeled, pending)
                SELECT id, 'V001', 0, 'ann', 1, 1, 0 FROM dataset;
        """)
        stored = ["PolyLine", "PointShape", "Circle", None]
        for table, more in (("annotation", ""), ("annotation_past", ", confirmed, labeled_at, until")):
            await connection.execute(
                f"INSERT INTO {table} (id, dataset_id, sample_id, label_id, labeled_by, origin, shape, since{more})"
                " SELECT n, sample.dataset_id, sample.id, label.id, 'ann', 'MANUAL',"
                f" jsonb_build_object('type', type, 'kept', n), 0{', true, now(), 1' if more else ''}"
                " FROM sample, label, unnest($1::text[]) WITH ORDINALITY AS shapes (type, n)",
                stored,
            )

        async def rows(table: str) -> list[asyncpg.Record]:
            query = (
                f"SELECT shape ->> 'type' AS type, shape ->> 'kept' AS kept, xmin::text, since FROM {table} ORDER BY id"
            )
            return list(await connection.fetch(query))

        tables = ("annotation", "annotation_past")
        before = [await rows(table) for table in tables]
        counts = await connection.fetch("SELECT sample_count, annotation_count FROM label_count")
        await migrations.upgrade(database_url)
        after = [await rows(table) for table in tables]
        for old, new in zip(before, after, strict=True):
            assert [row["type"] for row in new] == ["Polyline", "Point", "Circle", None]
            assert [(row["kept"], row["since"]) for row in new] == [(row["kept"], row["since"]) for row in old]
            assert [row["xmin"] for row in new[2:]] == [row["xmin"] for row in old[2:]]
        assert await connection.fetch("SELECT sample_count, annotation_count FROM label_count") == counts
        assert await connection.fetchval("SELECT status FROM version") == "READY"
        await downgrade(database_url, "0017-1")
        assert [[row["type"] for row in await rows(table)] for table in tables] == [stored, stored]
        assert await connection.fetchval("SELECT status FROM version") == "NORMAL"
    finally:
        await connection.close()
