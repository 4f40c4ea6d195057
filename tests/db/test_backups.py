"""Backups: one moment of the database, whole in a file, and whole or not at all in another database."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from db.errors import Conflict, DomainError, Invalid
from db.identity import tokens
from db.postgres import backups, engine, migrations, pgvector
from tests.db.test_migrations import dump
from tests.schema.annotation_fixture import annotate, box, create_box_client, edit_of, new
from tests.schema.embedding_fixture import embedded
from tests.schema.mutation_fixture import DatasetClient, create_client

ROOT = Path(__file__).parent.parent.parent


async def lived_in(database: engine.Database, root: Path) -> tuple[DatasetClient, str]:
    """A dataset with shapes, history, versions and an undone change; and a token."""
    client = await create_box_client(database, root)
    await annotate(client, {**edit_of(client, 0), "add": [new("cat", box()), new("dog", box(1, 2, 3, 4))]})
    await client.mutate("publishVersion", "version { name }", datasetId=client.dataset)
    await client.mutate("renameLabel", "label { name }", labelId=client.label("cat"), name="tiger")
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(1)})
    last = await client.mutate(
        "labelSamples",
        "change { id }",
        datasetId=client.dataset,
        select={"ids": client.ids(2)},
        labels=["dog"],
        mode="ADD",
    )
    await client.mutate("undoChange", "change { id }", changeId=last["change"]["id"])
    await client.mutate(
        "publishVersion", "version { name }", datasetId=client.dataset, description="a \\ back\tslash\nand ä"
    )
    async with database.writing() as session:
        text = await tokens.create(session, name="Ada", scope=tokens.Scope.READ, dataset_ids=[client.dataset_rows.id])
    return client, text


async def reach(client: DatasetClient, revision: int, writers: Sequence[asyncio.Task[None]]) -> None:
    """Until the writers have got there. Raises what one of them raised."""
    while await client.revision() < revision:
        for ended in (writer for writer in writers if writer.done()):
            await ended
        await asyncio.sleep(0)


async def rows(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET timezone = 'UTC'")
        names = [row["name"] for row in await connection.fetch(backups.SQL.columns)]
        return {
            name: [row[0] for row in await connection.fetch(f'SELECT t::text FROM "{name}" t ORDER BY 1')]
            for name in names
        }
    finally:
        await connection.close()


async def written(url: str) -> bytes:
    file = io.BytesIO()
    await backups.write(url, file)
    return file.getvalue()


def changed(backup: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The backup with other members."""
    with zipfile.ZipFile(io.BytesIO(backup)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.portable
async def test_everything_comes_back_and_goes_on(
    database: engine.Database, database_url: str, empty_database_url: str, tmp_path: Path, server_kind: str
) -> None:
    client, text = await lived_in(database, tmp_path)
    backup = await written(database_url)
    await migrations.upgrade(empty_database_url)
    summary = await backups.restore(empty_database_url, io.BytesIO(backup))
    before = await rows(database_url)
    assert summary == backups.Summary(datasets=1, rows=sum(map(len, before.values())))
    filled = ("annotation_past", "change", "sample_past_published", "token", "version_label")
    assert all(before[name] for name in filled)
    assert await rows(empty_database_url) == before
    if server_kind == "default":
        assert dump(empty_database_url) == dump(database_url)
    async with engine.connect(empty_database_url) as restored:
        async with restored.reading() as connection:
            identity = await tokens.verify(connection, text)
        assert identity is not None
        assert identity.name == "Ada"
        there = replace(client, direct=replace(client.direct, database=restored))
        await there.check()
        revision = await there.revision()
        await annotate(there, {**edit_of(there, 3), "add": [new("dog", box())]})
        assert await there.revision() == revision + 1
        await there.check()


async def test_a_backup_during_writes_shows_one_moment(
    database: engine.Database, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    client = await create_client(database, tmp_path, samples=20)
    done = asyncio.Event()

    async def label(position: int) -> None:
        mode = "ADD"
        while not done.is_set():
            await client.mutate(
                "labelSamples",
                "changedCount",
                datasetId=client.dataset,
                select={"ids": client.ids(position)},
                labels=["cat"],
                mode=mode,
            )
            mode = "REMOVE" if mode == "ADD" else "ADD"

    writers = [asyncio.create_task(label(position)) for position in range(4)]
    await reach(client, 10, writers)
    backup = await written(database_url)
    await reach(client, await client.revision() + 1, writers)
    done.set()
    await asyncio.gather(*writers)
    await migrations.upgrade(empty_database_url)
    await backups.restore(empty_database_url, io.BytesIO(backup))
    async with engine.connect(empty_database_url) as restored:
        there = replace(client, direct=replace(client.direct, database=restored))
        await there.check()
        assert 10 <= await there.revision() < await client.revision()


async def test_a_backup_of_an_older_version_is_migrated(empty_database_url: str, database_url: str) -> None:
    await migrations.upgrade(empty_database_url, "0006")
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(
        "INSERT INTO dataset (name, type, input_path, created_by) VALUES ('old', 'IMAGE_CLASSIFICATION', '/old', 'ann')"
    )
    await connection.close()
    newest = dump(database_url)
    summary = await backups.restore(database_url, io.BytesIO(await written(empty_database_url)))
    assert summary.datasets == 1
    assert dump(database_url) == newest
    async with engine.connect(database_url) as database, database.reading() as reader:
        assert await reader.fetchval("SELECT name FROM dataset") == "old"
        assert await reader.fetchval("SELECT version_num FROM alembic_version") == migrations.head()


async def test_a_database_with_a_dataset_is_refused_and_left_alone(
    database: engine.Database, database_url: str, tmp_path: Path
) -> None:
    await lived_in(database, tmp_path)
    backup, before = await written(database_url), await rows(database_url)
    with pytest.raises(Conflict, match="holds datasets already"):
        await backups.restore(database_url, io.BytesIO(backup))
    assert await rows(database_url) == before


async def test_a_database_in_use_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "CLOSING_TIME", 0)
    backup = await written(database_url)
    other = await asyncpg.connect(database_url)
    try:
        with pytest.raises(Conflict, match="stop every server and worker"):
            await backups.restore(database_url, io.BytesIO(backup))
    finally:
        await other.close()


def newer(members: dict[str, bytes]) -> None:
    members["backup.json"] = json.dumps(json.loads(members["backup.json"]) | {"revision": "9999"}).encode()


def short(members: dict[str, bytes]) -> None:
    members["tables/version_label.copy"] = b""


def bad_row(members: dict[str, bytes]) -> None:
    members["tables/version_label.copy"] += b"nonsense\n"


def bad_reference(members: dict[str, bytes]) -> None:
    members["tables/dataset.copy"] = b""
    about = json.loads(members["backup.json"])
    next(table for table in about["tables"] if table["name"] == "dataset")["rows"] = 0
    members["backup.json"] = json.dumps(about).encode()


def lost(members: dict[str, bytes]) -> None:
    del members["tables/version_label.copy"]


def without_about(members: dict[str, bytes]) -> None:
    del members["backup.json"]


@pytest.mark.parametrize("change", [newer, short, bad_row, bad_reference, lost, without_about])
async def test_what_cannot_be_restored_leaves_the_database_empty(
    change: Callable[[dict[str, bytes]], None],
    database: engine.Database,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
) -> None:
    await lived_in(database, tmp_path)
    backup = await written(database_url)
    await migrations.upgrade(empty_database_url)
    before = await rows(empty_database_url)
    with pytest.raises((DomainError, asyncpg.PostgresError)):
        await backups.restore(empty_database_url, io.BytesIO(changed(backup, change)))
    assert await rows(empty_database_url) == before
    assert (await backups.restore(empty_database_url, io.BytesIO(backup))).datasets == 1


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
async def test_a_file_that_broke_off_or_rotted_is_no_backup(share: float, database_url: str) -> None:
    backup = await written(database_url)
    with pytest.raises(Invalid, match="not a backup, or it is damaged"):
        await backups.restore(database_url, io.BytesIO(backup[: int(len(backup) * share)]))
    async with engine.connect(database_url) as database, database.writing() as session:
        await tokens.create(session, name="A" * 64, scope=tokens.Scope.READ)
    rotten = bytearray(await written(database_url))
    with zipfile.ZipFile(io.BytesIO(rotten)) as archive:
        at = (
            archive.getinfo("tables/token.copy").header_offset + 30 + len("tables/token.copy") + 24
        )  # behind the header, in the rows
    rotten[at] ^= 0xFF
    with pytest.raises(Invalid, match="not a backup, or it is damaged"):
        await backups.restore(database_url, io.BytesIO(rotten))


# -- killed at any point ------------------------------------------------------------

KILLED = """
import os, signal, sys
import asyncpg
from api.__main__ import main

method = sys.argv.pop(1)
real = getattr(asyncpg.Connection, method)

async def killed(self, table, **options):
    if table == "version_label":
        os.kill(os.getpid(), signal.SIGKILL)
    return await real(self, table, **options)

setattr(asyncpg.Connection, method, killed)
main(sys.argv[1:])
"""
FROM_TABLE, TO_TABLE = "copy_from_table", "copy_to_table"


def killed(method: str, *arguments: str, url: str) -> int:
    """A command of a process that is killed when it comes to the last table."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DATABASE_URL": url}
    command = [sys.executable, "-P", "-c", KILLED, method, *arguments]
    return subprocess.run(command, env=environment, timeout=300).returncode


async def test_a_killed_backup_leaves_the_file_as_it_was(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "labelgraph.backup"
    assert await asyncio.to_thread(killed, FROM_TABLE, "backup", str(file), url=database_url) == -signal.SIGKILL
    assert not file.exists()
    file.write_bytes(b"the one before")
    assert await asyncio.to_thread(killed, FROM_TABLE, "backup", str(file), url=database_url) == -signal.SIGKILL
    assert file.read_bytes() == b"the one before"


async def test_a_killed_restore_leaves_the_database_as_it_was(
    database: engine.Database, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await lived_in(database, tmp_path)
    file = tmp_path / "labelgraph.backup"
    file.write_bytes(await written(database_url))
    await migrations.upgrade(empty_database_url)
    await pgvector.enable(empty_database_url)  # as whatever migrates does
    before = await rows(empty_database_url)
    assert await asyncio.to_thread(killed, TO_TABLE, "restore", str(file), url=empty_database_url) == -signal.SIGKILL
    assert await rows(empty_database_url) == before
    assert (await backups.restore(empty_database_url, io.BytesIO(file.read_bytes()))).datasets == 1


async def test_embeddings_come_back_where_pgvector_is(
    database: engine.Database,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await embedded(database, tmp_path, samples=6)
    backup = await written(database_url)
    await migrations.upgrade(empty_database_url)

    async def without(_: object) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(pgvector, "enable_on", without)
        with pytest.raises(Conflict, match="The backup has embeddings"):
            await backups.restore(empty_database_url, io.BytesIO(backup))
    await backups.restore(empty_database_url, io.BytesIO(backup))
    assert await rows(empty_database_url) == await rows(database_url)
    assert await pgvector.enable(empty_database_url)
