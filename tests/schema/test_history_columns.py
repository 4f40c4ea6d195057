"""A column that a migration adds to a versioned table is part of its history, at any position in the two tables."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.history import changes
from db.postgres import sql
from db.postgres.engine import Database
from tests.db.dataset_fixture import local
from tests.schema.mutation_fixture import DatasetClient

FACTS = ("label", "sample", "annotation")
# What a migration does; in `other order` the two columns are the other way round in the table of past rows.
ADDED = {
    "as a migration adds them": "ALTER TABLE {fact} ADD COLUMN one text DEFAULT '1' NOT NULL, ADD COLUMN two text;",
    "in another order": """
        ALTER TABLE {fact}_past ADD COLUMN two text, ADD COLUMN one text DEFAULT '1' NOT NULL;
        ALTER TABLE {fact} ADD COLUMN one text DEFAULT '1' NOT NULL, ADD COLUMN two text;
    """,
    "after one that was dropped": """
        ALTER TABLE {fact} ADD COLUMN zero integer, ADD COLUMN two text, ADD COLUMN one text DEFAULT '1' NOT NULL;
        ALTER TABLE {fact} DROP COLUMN zero;
    """,
}
FILL = "UPDATE {fact} SET one = 'one of ' || id, two = 'two of ' || id"


async def fetch(client: DatasetClient, text: str, **values: Any) -> list[asyncpg.Record]:
    async with client.direct.database.writing() as session:
        return await sql.run(session, text, **values)


async def add_columns(client: DatasetClient, how: str) -> None:
    for fact in FACTS:
        for statement in ADDED[how].format(fact=fact).split(";"):
            await fetch(client, statement)
        await fetch(client, "SELECT refresh_history(:fact)", fact=fact)
        await fetch(client, FILL.format(fact=fact))


async def facts(client: DatasetClient) -> dict[str, list[Any]]:
    """Every live row, with the new columns, but for the revision that wrote it."""
    found = {}
    for fact in FACTS:
        rows = await fetch(client, f"SELECT (to_jsonb({fact}) - 'since')::text AS row FROM {fact} ORDER BY id")
        found[fact] = [row["row"] for row in rows]
    return found


async def change(client: DatasetClient, field: str, **input: Any) -> str:
    return str((await client.mutate(field, "change { id }", **input))["change"]["id"])


async def operations(client: DatasetClient) -> list[str]:
    """One of each kind of change that ends rows or writes them again."""
    pets = {"datasetId": client.dataset}
    return [
        await change(client, "labelSamples", select={"ids": client.ids(1, 2)}, labels=["dog"], mode="SET", **pets),
        await change(client, "renameLabel", labelId=client.label("cat"), name="Feline"),
        await change(client, "deleteLabels", labelIds=[client.label("dog")], mode="LABEL_ONLY"),
        await change(client, "deleteSamples", select={"ids": client.ids(0, 3)}, **pets),
    ]


async def prepare(client: DatasetClient, how: str) -> None:
    pets = {"datasetId": client.dataset, "select": {"ids": client.ids(0, 1, 2, 3)}}
    await change(client, "labelSamples", labels=["cat"], **pets)
    await change(client, "labelSamples", labels=["dog"], **pets)
    await add_columns(client, how)


@pytest.mark.parametrize("how", ADDED)
async def test_a_new_column_is_kept_in_the_past(client: DatasetClient, how: str) -> None:
    await prepare(client, how)
    await operations(client)
    for fact in FACTS:
        rows = await fetch(client, f"SELECT id, one, two FROM {fact}_past WHERE until > 3")
        assert rows
        assert [(row["one"], row["two"]) for row in rows] == [
            (f"one of {row['id']}", f"two of {row['id']}") for row in rows
        ]


@pytest.mark.parametrize("how", ADDED)
async def test_undoing_restores_a_new_column(client: DatasetClient, how: str) -> None:
    await prepare(client, how)
    before = await facts(client)
    for done in reversed(await operations(client)):
        await change(client, "undoChange", changeId=done)
    assert await facts(client) == before
    await client.check()


@pytest.mark.parametrize("how", ADDED)
async def test_switching_to_a_version_restores_a_new_column(client: DatasetClient, how: str) -> None:
    await prepare(client, how)
    before = await facts(client)
    published = await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    await operations(client)
    await client.mutate(
        "setCurrentVersion", "dataset { id }", versionId=published["version"]["id"], onUnpublished="DISCARD"
    )
    assert await facts(client) == before
    await client.check()


async def write(client: DatasetClient, value: str, where: str) -> str:
    """A change of a new column alone, as a later mutation may make it."""
    async with client.direct.database.writing() as session:
        new = await changes.record(session, client.dataset_rows.id, kind="LABEL_SAMPLES", actor="ann", summary="Marked")
        for fact in FACTS:
            await sql.run(
                session,
                f"UPDATE {fact} SET one = :value, since = :since WHERE {where}",
                value=value,
                since=new.revision,
            )
    return f"Change:{new.id}"


async def test_a_change_of_a_new_column_alone_is_undone(client: DatasetClient) -> None:
    await prepare(client, "as a migration adds them")
    before = await facts(client)
    done = await write(client, "new", "true")
    await change(client, "undoChange", changeId=done)
    assert await facts(client) == before


async def test_a_later_change_of_the_same_new_column_is_in_the_way(client: DatasetClient) -> None:
    await prepare(client, "as a migration adds them")
    first, second = await write(client, "first", "true"), await write(client, "second", "true")
    refused = await client.refused("undoChange", changeId=first)
    assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [second])


async def test_undoing_a_labelling_leaves_what_was_written_into_a_new_column_since(client: DatasetClient) -> None:
    await prepare(client, "as a migration adds them")
    pets = {"datasetId": client.dataset, "select": {"ids": client.ids(4)}}
    labelled = await change(client, "labelSamples", labels=["cat"], **pets)
    [number] = client.dataset_rows.samples[4:5]
    async with client.direct.database.writing() as session:
        new = await changes.record(session, client.dataset_rows.id, kind="IMPORT", actor="ann", summary="Imported")
        await sql.run(
            session,
            "UPDATE sample SET hard = true, two = 'later', since = :since WHERE id = :id",
            since=new.revision,
            id=number,
        )
    await change(client, "undoChange", changeId=labelled)
    [row] = await fetch(client, "SELECT state, hard, two FROM sample WHERE id = :id", id=number)
    assert dict(row) == {"state": "UNLABELED", "hard": True, "two": "later"}


async def test_undoing_a_mark_leaves_labels_that_were_put_since(client: DatasetClient) -> None:
    await prepare(client, "as a migration adds them")
    [number] = client.dataset_rows.samples[4:5]
    async with client.direct.database.writing() as session:
        new = await changes.record(session, client.dataset_rows.id, kind="IMPORT", actor="ann", summary="Imported")
        await sql.run(
            session, "UPDATE sample SET hard = true, since = :since WHERE id = :id", since=new.revision, id=number
        )
    pets = {"datasetId": client.dataset, "select": {"ids": client.ids(4)}}
    await change(client.as_somebody("bob"), "labelSamples", labels=["cat"], **pets)
    await change(client, "undoChange", changeId=f"Change:{new.id}")
    [row] = await fetch(client, "SELECT state, hard, labeled_by FROM sample WHERE id = :id", id=number)
    assert dict(row) == {"state": "LABELED", "hard": False, "labeled_by": "bob"}
    await client.check()


async def test_a_sync_that_moves_and_relabels_samples_keeps_a_new_column(client: DatasetClient, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    dataset = await local(client.direct.database, tmp_path / "files")
    for name, label in (("a", "cat"), ("b", "dog")):
        dataset.put(f"{name}.png")
        dataset.put(f"{name}.txt", label)
    await dataset.sync()
    await add_columns(client, "in another order")
    before = {path: await dataset.sample(f"{path}.png") for path in "ab"}
    dataset.move("a.png", "moved.png")
    dataset.move("a.txt", "moved.txt")
    dataset.put("b.txt", "dog\ncat")
    await dataset.sync()
    after = {"a": await dataset.sample("moved.png"), "b": await dataset.sample("b.png")}
    assert len(after["b"]["label_ids"]) == 2
    for path, sample in after.items():
        assert {name: sample[name] for name in ("id", "one", "two")} == {
            name: before[path][name] for name in ("id", "one", "two")
        }
        [past] = await dataset.rows(
            "SELECT one, two FROM sample_past WHERE id = $1 ORDER BY until DESC LIMIT 1", sample["id"]
        )
        assert (past["one"], past["two"]) == (sample["one"], sample["two"])


async def test_history_is_made_from_the_columns_that_there_are(database: Database) -> None:
    """A migration that adds columns and does not refresh the history shows here."""
    async with database.writing() as session:
        written = "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE '%\\_keep' ORDER BY 1"
        before = await sql.run(session, written)
        for fact in FACTS:
            await sql.run(session, "SELECT refresh_history(:fact)", fact=fact)
        assert await sql.run(session, written) == before


async def test_a_column_that_is_renamed_in_one_table_only_is_refused(database: Database) -> None:
    async with database.writing() as session:
        await sql.run(session, "ALTER TABLE sample RENAME COLUMN usage TO purpose")
        with pytest.raises(asyncpg.RaiseError, match="sample_past has columns that sample has not: usage"):
            await sql.run(session, "SELECT refresh_history('sample')")
        await session.rollback()
