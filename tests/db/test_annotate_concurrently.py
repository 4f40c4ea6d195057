"""Annotators at once, and with them those who rename, merge and delete labels: nothing is lost or duplicated."""

import pytest

from db.formats.shapes import BoundingBox
from db.labelling import labels
from db.labelling.samples.annotate import Addition, AnnotateWith, Edit, Update, annotate
from db.labelling.samples.delete import delete
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.postgres.sql import connection_of, run
from tests.db.concurrency import Work, outcome, overlapping
from tests.db.dataset_rows import ANN, BOB, DatasetRows, make, wrong

MARKS = """
SELECT a.id, s.id AS sample, l.name, (a.shape->>'xMin')::float AS x, a.labeled_by
FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id ORDER BY a.id
"""


def box(x: float) -> BoundingBox:
    return BoundingBox(x, 0, x + 10, 10)


def annotating(boxes: DatasetRows, *edits: Edit, by: object = BOB, create: bool = False) -> Work:
    how = AnnotateWith(create_missing=create)
    return lambda session: annotate(session, boxes.id, edits, how, by=by)  # type: ignore[arg-type]


def adding(boxes: DatasetRows, name: str, *xs: float, sample_index: int = 0, create: bool = False) -> Work:
    edit = Edit(boxes.samples[sample_index], add=[Addition(name, box(x)) for x in xs])
    return annotating(boxes, edit, create=create)


async def annotations_of(database: Database, boxes: DatasetRows) -> list[tuple[int, str, float | None]]:
    """The position of the sample, label and left edge of every annotation."""
    assert await wrong(database, boxes.id) == []
    async with database.reading() as reader:
        rows = await reader.fetch(MARKS)
    return [(boxes.samples.index(row["sample"]), row["name"], row["x"]) for row in rows]


async def the_id(database: Database) -> int:
    async with database.reading() as reader:
        return int(await reader.fetchval("SELECT max(id) FROM annotation"))


@pytest.fixture
async def boxes(database: Database) -> DatasetRows:
    kind = "OBJECT_DETECTION"
    return await make(database, samples=3, labels=("cat", "dog", "bird"), kind=kind, size=(640, 480))


async def test_two_who_draw_on_one_sample_lose_nothing_of_each_other(database: Database, boxes: DatasetRows) -> None:
    first, second = await overlapping(database, adding(boxes, "cat", 1, 2), adding(boxes, "dog", 2, 3))
    assert (first.changed, second.changed) == (1, 1)
    assert await annotations_of(database, boxes) == [(0, "cat", 1), (0, "cat", 2), (0, "dog", 2), (0, "dog", 3)]


async def test_two_who_draw_the_same_draw_it_once(database: Database, boxes: DatasetRows) -> None:
    first, second = await overlapping(database, adding(boxes, "cat", 1), adding(boxes, "cat", 1))
    assert (first.changed, second.changed, second.change) == (1, 0, None)
    assert await annotations_of(database, boxes) == [(0, "cat", 1)]


async def test_two_who_put_the_same_on_a_whole_image_put_it_once(database: Database, boxes: DatasetRows) -> None:
    cat = annotating(boxes, Edit(boxes.samples[0], add=[Addition("cat")]))
    _, second = await overlapping(database, cat, cat)
    assert second.change is None
    assert await annotations_of(database, boxes) == [(0, "cat", None)]


async def test_two_who_make_the_same_missing_label_both_draw_with_it(database: Database, boxes: DatasetRows) -> None:
    first, second = adding(boxes, "ox", 1, create=True), adding(boxes, "ox", 2, sample_index=1, create=True)
    await overlapping(database, first, second)
    assert await annotations_of(database, boxes) == [(0, "ox", 1), (1, "ox", 2)]


async def test_of_two_who_move_a_shape_the_last_wins(database: Database, boxes: DatasetRows) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    id = await the_id(database)
    here, there = (annotating(boxes, Edit(boxes.samples[0], update=[Update(id, shape=box(x))])) for x in (20, 30))
    await overlapping(database, here, there)
    assert await annotations_of(database, boxes) == [(0, "cat", 30)]


async def test_moving_what_is_being_removed_is_refused(database: Database, boxes: DatasetRows) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    id = await the_id(database)
    remove = annotating(boxes, Edit(boxes.samples[0], remove=[id]))
    move = annotating(boxes, Edit(boxes.samples[0], update=[Update(id, shape=box(2))]))
    _, moved = await overlapping(database, remove, move)
    assert moved == "NOT_FOUND"
    _, again = await overlapping(database, adding(boxes, "cat", 5), remove)
    assert again.change is None
    assert await annotations_of(database, boxes) == [(0, "cat", 5)]


async def test_drawing_waits_for_a_merge_and_meets_the_survivor(database: Database, boxes: DatasetRows) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    id = await the_id(database)
    moving = annotating(boxes, Edit(boxes.samples[0], update=[Update(id, shape=box(2))]))
    _, moved = await overlapping(database, merging(boxes, "cat", "dog"), moving)
    assert moved.changed == 1
    assert await annotations_of(database, boxes) == [(0, "dog", 2)]
    assert await outcome(database, adding(boxes, "cat", 1)) == "LABEL_NOT_FOUND"


async def test_a_merge_waits_for_drawing_and_loses_no_shape(database: Database, boxes: DatasetRows) -> None:
    await outcome(database, adding(boxes, "dog", 1))
    await overlapping(database, adding(boxes, "cat", 1, 2), merging(boxes, "cat", "dog"))
    assert await annotations_of(database, boxes) == [(0, "dog", 1), (0, "dog", 1), (0, "dog", 2)]


async def test_relabelling_to_a_label_that_is_being_deleted_is_refused(database: Database, boxes: DatasetRows) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    updating = annotating(boxes, Edit(boxes.samples[0], update=[Update(await the_id(database), label="dog")]))
    _, turned = await overlapping(database, deleting(boxes, "dog"), updating)
    assert turned == "LABEL_NOT_FOUND"
    assert await annotations_of(database, boxes) == [(0, "cat", 1)]


async def test_moving_a_shape_whose_label_is_being_deleted_finds_it_gone(
    database: Database, boxes: DatasetRows
) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    moving = annotating(boxes, Edit(boxes.samples[0], update=[Update(await the_id(database), shape=box(2))]))
    _, moved = await overlapping(database, deleting(boxes, "cat"), moving)
    assert moved == "NOT_FOUND"
    assert await annotations_of(database, boxes) == []


async def test_a_shape_that_was_relabelled_meanwhile_survives_the_deletion(
    database: Database, boxes: DatasetRows
) -> None:
    await outcome(database, adding(boxes, "cat", 1))
    updating = annotating(boxes, Edit(boxes.samples[0], update=[Update(await the_id(database), label="dog")]))
    await overlapping(database, updating, deleting(boxes, "cat"))
    assert await annotations_of(database, boxes) == [(0, "dog", 1)]


async def test_drawing_on_a_sample_that_is_being_deleted_finds_it_gone(database: Database, boxes: DatasetRows) -> None:
    def gone(session: object) -> object:
        return delete(session, boxes.id, Selection(ids=boxes.samples[:1]), by=ANN)  # type: ignore[arg-type]

    _, drawn = await overlapping(database, gone, adding(boxes, "cat", 1))  # type: ignore[arg-type]
    assert (drawn.matched, drawn.not_found) == (0, (boxes.samples[0],))


async def test_moving_a_shape_never_waits_for_who_is_about_to_rename_its_label(
    database: Database, boxes: DatasetRows
) -> None:
    """It would lock the dataset's row, which the other needs next: each would wait for the other."""
    await outcome(database, adding(boxes, "cat", 1))
    moving = annotating(boxes, Edit(boxes.samples[0], update=[Update(await the_id(database), shape=box(2))]))
    async with database.writing() as session:
        await run(session, "SELECT FROM label WHERE id = :id FOR UPDATE", id=boxes.labels["cat"])
        moved = await outcome(database, moving)
    assert moved.changed == 1


async def test_many_annotations_cost_no_more_statements_than_one(database: Database) -> None:
    kind = "OBJECT_DETECTION"
    boxes = await make(database, samples=40, labels=("cat",), kind=kind, size=(640, 480))
    counts = [await statements(database, boxes, samples, each) for samples, each in ((1, 1), (40, 30))]
    assert 5 < counts[0] == counts[1] < 15


async def statements(database: Database, boxes: DatasetRows, samples: int, each: int) -> int:
    """How many it takes to add, move and remove annotations in one call."""

    def edit(sample: int, y: int, ids: list[int]) -> Edit:
        shapes = [BoundingBox(x, y, x + 1, y + 1) for x in range(each)]
        moved = [Update(id, shape=BoundingBox(x, 100, x + 1, 101)) for x, id in enumerate(ids[:each])]
        return Edit(sample, [Addition("cat", shape) for shape in shapes], moved, ids[each:])

    async def ids(sample: int) -> list[int]:
        async with database.reading() as reader:
            rows = await reader.fetch("SELECT id FROM annotation WHERE sample_id = $1 ORDER BY id", sample)
        return [row["id"] for row in rows]

    for y in (1, 2):
        await outcome(database, annotating(boxes, *[edit(sample, y, []) for sample in boxes.samples[:samples]]))
    edits = [edit(sample, 3, await ids(sample)) for sample in boxes.samples[:samples]]
    seen: list[str] = []
    async with database.writing() as session:
        with (await connection_of(session)).query_logger(lambda record: seen.append(record.query)):
            done = await annotating(boxes, *edits)(session)
    assert done.changed == samples
    assert await wrong(database, boxes.id) == []
    return len(seen)


def merging(boxes: DatasetRows, name: str, to: str) -> Work:
    return lambda session: labels.rename(session, boxes.labels[name], to=to, by=ANN, on_conflict="MERGE")


def deleting(boxes: DatasetRows, name: str) -> Work:
    return lambda session: labels.delete(session, [boxes.labels[name]], mode="LABEL_ONLY", by=ANN)
