"""A column that a migration adds to a versioned table is part of its history, wherever it stands in the two tables."""

from typing import Any

import asyncpg
import pytest

from db.history import changes
from db.postgres import sql
from db.postgres.engine import Database
from tests.schema.mutation_fixture import Stage

FACTS = ("label", "sample", "annotation")
# What a migration does; in `other order` the two columns stand the other way round in the table of past rows.
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


async def fetch(stage: Stage, text: str, **values: Any) -> list[asyncpg.Record]:
    async with stage.direct.database.writing() as session:
        return await sql.run(session, text, **values)


async def add_columns(stage: Stage, how: str) -> None:
    for fact in FACTS:
        for statement in ADDED[how].format(fact=fact).split(";"):
            await fetch(stage, statement)
        await fetch(stage, "SELECT refresh_history(:fact)", fact=fact)
        await fetch(stage, FILL.format(fact=fact))


async def facts(stage: Stage) -> dict[str, list[Any]]:
    """Every live row, with the new columns, but for the revision that wrote it."""
    found = {}
    for fact in FACTS:
        rows = await fetch(stage, f"SELECT (to_jsonb({fact}) - 'since')::text AS row FROM {fact} ORDER BY id")
        found[fact] = [row["row"] for row in rows]
    return found


async def change(stage: Stage, field: str, **input: Any) -> str:
    return str((await stage.do(field, "change { id }", **input))["change"]["id"])


async def deeds(stage: Stage) -> list[str]:
    """One of each kind of change that ends rows or writes them anew."""
    pets = {"datasetId": stage.dataset}
    return [
        await change(stage, "labelSamples", select={"ids": stage.ids(1, 2)}, labels=["dog"], mode="SET", **pets),
        await change(stage, "renameLabel", labelId=stage.label("cat"), name="Feline"),
        await change(stage, "deleteLabels", labelIds=[stage.label("dog")], mode="LABEL_ONLY"),
        await change(stage, "deleteSamples", select={"ids": stage.ids(0, 3)}, **pets),
    ]


async def prepare(stage: Stage, how: str) -> None:
    pets = {"datasetId": stage.dataset, "select": {"ids": stage.ids(0, 1, 2, 3)}}
    await change(stage, "labelSamples", labels=["cat"], **pets)
    await change(stage, "labelSamples", labels=["dog"], **pets)
    await add_columns(stage, how)


@pytest.mark.parametrize("how", ADDED)
async def test_a_new_column_is_kept_in_the_past(stage: Stage, how: str) -> None:
    await prepare(stage, how)
    await deeds(stage)
    for fact in FACTS:
        rows = await fetch(stage, f"SELECT id, one, two FROM {fact}_past WHERE until > 3")
        assert rows
        assert [(row["one"], row["two"]) for row in rows] == [
            (f"one of {row['id']}", f"two of {row['id']}") for row in rows
        ]


@pytest.mark.parametrize("how", ADDED)
async def test_undoing_restores_a_new_column(stage: Stage, how: str) -> None:
    await prepare(stage, how)
    before = await facts(stage)
    for done in reversed(await deeds(stage)):
        await change(stage, "undoChange", changeId=done)
    assert await facts(stage) == before
    await stage.check()


@pytest.mark.parametrize("how", ADDED)
async def test_switching_to_a_version_restores_a_new_column(stage: Stage, how: str) -> None:
    await prepare(stage, how)
    before = await facts(stage)
    published = await stage.do("publishVersion", "version { id }", datasetId=stage.dataset)
    await deeds(stage)
    await stage.do("setCurrentVersion", "dataset { id }", versionId=published["version"]["id"], onUnpublished="DISCARD")
    assert await facts(stage) == before
    await stage.check()


async def write(stage: Stage, value: str, where: str) -> str:
    """A change of a new column alone, as a later mutation may make it."""
    async with stage.direct.database.writing() as session:
        new = await changes.record(session, stage.dataset_rows.id, kind="LABEL_SAMPLES", actor="ann", summary="Marked")
        for fact in FACTS:
            await sql.run(
                session,
                f"UPDATE {fact} SET one = :value, since = :since WHERE {where}",
                value=value,
                since=new.revision,
            )
    return f"Change:{new.id}"


async def test_a_change_of_a_new_column_alone_is_undone(stage: Stage) -> None:
    await prepare(stage, "as a migration adds them")
    before = await facts(stage)
    done = await write(stage, "new", "true")
    await change(stage, "undoChange", changeId=done)
    assert await facts(stage) == before


async def test_a_later_change_of_the_same_new_column_is_in_the_way(stage: Stage) -> None:
    await prepare(stage, "as a migration adds them")
    first, second = await write(stage, "first", "true"), await write(stage, "second", "true")
    refused = await stage.refused("undoChange", changeId=first)
    assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [second])


async def test_undoing_a_labelling_leaves_what_was_written_into_a_new_column_since(stage: Stage) -> None:
    await prepare(stage, "as a migration adds them")
    pets = {"datasetId": stage.dataset, "select": {"ids": stage.ids(4)}}
    labelled = await change(stage, "labelSamples", labels=["cat"], **pets)
    [number] = stage.dataset_rows.samples[4:5]
    async with stage.direct.database.writing() as session:
        new = await changes.record(session, stage.dataset_rows.id, kind="IMPORT", actor="ann", summary="Imported")
        await sql.run(
            session,
            "UPDATE sample SET hard = true, two = 'later', since = :since WHERE id = :id",
            since=new.revision,
            id=number,
        )
    await change(stage, "undoChange", changeId=labelled)
    [row] = await fetch(stage, "SELECT state, hard, two FROM sample WHERE id = :id", id=number)
    assert dict(row) == {"state": "UNLABELED", "hard": True, "two": "later"}


async def test_undoing_a_mark_leaves_labels_that_were_put_since(stage: Stage) -> None:
    await prepare(stage, "as a migration adds them")
    [number] = stage.dataset_rows.samples[4:5]
    async with stage.direct.database.writing() as session:
        new = await changes.record(session, stage.dataset_rows.id, kind="IMPORT", actor="ann", summary="Imported")
        await sql.run(
            session, "UPDATE sample SET hard = true, since = :since WHERE id = :id", since=new.revision, id=number
        )
    pets = {"datasetId": stage.dataset, "select": {"ids": stage.ids(4)}}
    await change(stage.as_somebody("bob"), "labelSamples", labels=["cat"], **pets)
    await change(stage, "undoChange", changeId=f"Change:{new.id}")
    [row] = await fetch(stage, "SELECT state, hard, labeled_by FROM sample WHERE id = :id", id=number)
    assert dict(row) == {"state": "LABELED", "hard": False, "labeled_by": "bob"}
    await stage.check()


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
