"""Labels that have shapes, and a machine's suggestions, under every way of labelling."""

import itertools
from typing import Any

import orjson
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from db.history import changes
from db.history.transactions import write
from db.labelling import labels
from db.labelling.samples.label import Labelled, LabelWith, ReplaceWith, label, replace_label
from db.labelling.samples.selection import Selection
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.queries.filters import SampleFilter
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong

BOX = orjson.dumps({"kind": "box"}).decode()


async def boxed(database: Database, *annotations: tuple[str, bool, bool]) -> DatasetRows:
    """One sample of a detection dataset with `annotations`: label, shaped, confirmed."""
    boxes = await make(database, samples=1, labels=("cat", "dog", "bird"), kind="OBJECT_DETECTION")
    async with database.writing() as session:
        change = await changes.record(session, boxes.id, kind="SYNC", actor="sync", summary="Synced")
        connection = await connection_of(session)
        for name, shaped, confirmed in annotations:
            await connection.execute(
                """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, shape, confirmed, since)
                VALUES ($1, $2, $3, 'sync', 'SYNC', $4, $5, $6)""",
                boxes.id, boxes.samples[0], boxes.labels[name], BOX if shaped else None, confirmed, change.revision,
            )  # fmt: skip
        await connection.execute(
            """UPDATE sample s SET since = $2, label_ids = found.ids,
                   labeled_by = CASE WHEN found.ids <> '{}' THEN 'sync' END,
                   labeled_at = CASE WHEN found.ids <> '{}' THEN now() END,
                   state = CASE WHEN found.ids <> '{}' THEN 'LABELED' ELSE 'PENDING' END
            FROM (SELECT ARRAY(
                SELECT DISTINCT label_id FROM annotation WHERE sample_id = $1 AND confirmed ORDER BY 1) AS ids) found
            WHERE id = $1""",
            boxes.samples[0], change.revision,
        )  # fmt: skip
    return boxes


async def annotations_of(database: Database, boxes: DatasetRows) -> list[tuple[str, bool, bool, str]]:
    """Label, shaped, confirmed, and who put it."""
    assert await wrong(database, boxes.id) == []
    statement = """SELECT l.name, a.shape IS NOT NULL AS shaped, a.confirmed, a.labeled_by
        FROM annotation a JOIN label l ON l.id = a.label_id ORDER BY 1, 2, 3, 4"""
    async with database.reading() as reader:
        return [tuple(row) for row in await reader.fetch(statement)]


async def label_sample(database: Database, boxes: DatasetRows, *names: str, mode: Any = "ADD") -> int:
    how = LabelWith(labels=names, mode=mode)
    done: Any = await write(
        database, lambda session: label(session, boxes.id, Selection(ids=boxes.samples), how, by=ANN), object
    )
    return int(done.changed)


async def merge(database: Database, boxes: DatasetRows, before: str, after: str) -> None:
    before_id = boxes.labels[before]
    await write(
        database, lambda session: labels.rename(session, before_id, to=after, by=ANN, on_conflict="MERGE"), object
    )


async def replace(database: Database, boxes: DatasetRows, before: str, after: str) -> None:
    how = ReplaceWith(before=before, after=after)
    select = Selection(ids=boxes.samples)
    await write(database, lambda session: replace_label(session, boxes.id, select, how, by=ANN), object)


async def test_adding_a_label_that_is_there_in_any_shape_changes_nothing(database: Database) -> None:
    boxes = await boxed(database, ("cat", True, True))
    assert await label_sample(database, boxes, "cat") == 0
    assert await label_sample(database, boxes, "cat", mode="SET") == 0
    assert await annotations_of(database, boxes) == [("cat", True, True, "sync")]


async def test_removing_a_label_takes_all_its_shapes(database: Database) -> None:
    boxes = await boxed(database, ("cat", True, True), ("cat", True, True), ("cat", False, True), ("dog", True, True))
    assert await label_sample(database, boxes, "cat", mode="REMOVE") == 1
    assert await annotations_of(database, boxes) == [("dog", True, True, "sync")]


async def test_set_keeps_the_shapes_of_labels_that_stay(database: Database) -> None:
    boxes = await boxed(database, ("cat", True, True), ("cat", True, True), ("dog", True, True))
    assert await label_sample(database, boxes, "cat", "bird", mode="SET") == 1
    assert await annotations_of(database, boxes) == [
        ("bird", False, True, "ann"), ("cat", True, True, "sync"), ("cat", True, True, "sync"),
    ]  # fmt: skip


async def test_adding_a_suggested_label_confirms_the_suggestion_with_its_shape(database: Database) -> None:
    boxes = await boxed(database, ("cat", True, False), ("dog", False, False))
    assert await label_sample(database, boxes, "cat") == 1
    assert await annotations_of(database, boxes) == [("cat", True, True, "ann"), ("dog", False, False, "sync")]


async def test_clearing_takes_suggestions_too(database: Database) -> None:
    boxes = await boxed(database, ("cat", True, False))
    assert await label_sample(database, boxes, mode="SET") == 1
    assert await annotations_of(database, boxes) == []


@pytest.mark.parametrize(("operation", "by"), [(merge, "sync"), (replace, "ann")])
async def test_replaced_labels_keep_their_shapes_and_the_other_annotations(
    database: Database, operation: Any, by: str
) -> None:
    boxes = await boxed(database, ("cat", True, True), ("cat", False, True), ("dog", True, True))
    await operation(database, boxes, "cat", "dog")
    assert sorted(await annotations_of(database, boxes)) == sorted(
        [("dog", True, True, by), ("dog", True, True, "sync")]
    )


@pytest.mark.parametrize(("operation", "by"), [(merge, "sync"), (replace, "ann")])
async def test_a_fact_is_kept_before_a_suggestion_of_the_same_label(
    database: Database, operation: Any, by: str
) -> None:
    boxes = await boxed(database, ("cat", False, True), ("dog", False, False))
    await operation(database, boxes, "cat", "dog")
    assert await annotations_of(database, boxes) == [("dog", False, True, by)]


async def test_of_two_suggestions_merged_one_is_left(database: Database) -> None:
    boxes = await boxed(database, ("cat", False, False), ("dog", False, False))
    await merge(database, boxes, "cat", "dog")
    assert await annotations_of(database, boxes) == [("dog", False, False, "sync")]


PLANS = ["nestloop", "hashjoin", "mergejoin", "sort"]


@pytest.mark.parametrize("selection", ["ids", "filter"])
@pytest.mark.parametrize("without", [*PLANS, "nothing"])
async def test_annotations_are_made_in_one_order_whatever_plan_is_taken(
    database: Database, selection: str, without: str
) -> None:
    """By samples, then labels: which plan is taken depends on how old the statistics are."""
    made = await make(database, samples=4, labels=("c", "a", "b"))
    selected = Selection(ids=made.samples[::-1]) if selection == "ids" else Selection(filter=SampleFilter())

    async def work(session: AsyncSession) -> Labelled:
        if without != "nothing":
            await sql.run(session, f"SET LOCAL enable_{without} = off")
        return await label(session, made.id, selected, LabelWith(labels=["a", "b", "c"]), by=ANN)

    await write(database, work, Labelled)
    async with database.reading() as reader:
        rows = await reader.fetch("SELECT sample_id, label_id FROM annotation ORDER BY id")
    assert [tuple(row) for row in rows] == list(itertools.product(made.samples, made.labels.values()))
