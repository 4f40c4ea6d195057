"""Sync of datasets with shapes: what PASCAL VOC sidecars do to a working set."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from db.datasets import check
from db.formats.annotations import Attributes, ParsedAnnotation
from db.formats.shapes import BoundingBox, Circle, Polygon, Position, from_json
from db.formats.sidecars.voc import write
from db.ingest.sync import entries, stages
from db.postgres.engine import Database
from db.storage import LocalStore
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted, image_bytes
from tests.db.test_sync_crashes import clean_run, crash_at_each_step
from tests.memory_store import MemoryStore

CELLS = Path(__file__).parents[2] / "examples" / "cells"
SIZE = (64, 48)
LEFT, RIGHT, SMALL = BoundingBox(1, 1, 20, 40), BoundingBox(30, 1, 60, 40), BoundingBox(5, 5, 9, 9)
ROUND = Circle(Position(30, 20), 10)
AREA = Polygon((Position(1, 1), Position(9, 1), Position(9, 9)))


@pytest.fixture(params=["local", "memory"])
async def dataset(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> DatasetFixture:
    if request.param == "memory":
        return await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    return await dataset_fixture.make(database, LocalStore(tmp_path), tmp_path, kind="OBJECT_DETECTION")


def voc(*annotations: ParsedAnnotation) -> str:
    return write(annotations, folder="f", file_name="n", size=SIZE, segmented=False).decode()


def put(dataset: DatasetFixture, stem: str, *annotations: ParsedAnnotation) -> None:
    dataset.put(f"{stem}.png", image_bytes(size=SIZE))
    dataset.put(f"{stem}.xml", voc(*annotations))


async def annotations_of(dataset: DatasetFixture, path: str) -> list[tuple[Any, ...]]:
    """Label, shape, confidence of a sample's annotations, as they were made."""
    rows = await dataset.rows(
        "SELECT l.name, a.shape::text AS shape, a.confidence FROM annotation a JOIN label l ON l.id = label_id"
        " JOIN sample s ON s.id = sample_id WHERE s.dataset_id = $1 AND s.path = $2 ORDER BY a.id",
        dataset.dataset_id,
        path,
    )
    return [(row["name"], from_json(orjson.loads(row["shape"])), row["confidence"]) for row in rows]


async def annotation_ids(dataset: DatasetFixture) -> list[int]:
    return [row["id"] for row in await dataset.rows("SELECT id FROM annotation ORDER BY id")]


async def wrong(dataset: DatasetFixture) -> list[str]:
    async with dataset.database.reading() as connection:
        return await check.recount(connection, dataset.dataset_id)


@pytest.mark.portable
async def test_every_object_becomes_an_annotation_with_its_shape(dataset: DatasetFixture) -> None:
    put(
        dataset,
        "a",
        ParsedAnnotation("cat", LEFT),
        ParsedAnnotation("cat", RIGHT),
        ParsedAnnotation("dog", ROUND, 0.5),
        ParsedAnnotation("cat", AREA),
    )
    dataset.put("b.png")
    job = await dataset.sync()
    assert counted(job, added=2)
    assert await annotations_of(dataset, "a.png") == [
        ("cat", LEFT, None), ("cat", RIGHT, None), ("dog", ROUND, 0.5), ("cat", AREA, None),
    ]  # fmt: skip
    assert await dataset.labels() == {"a.png": ["cat", "dog"], "b.png": []}
    sample = await dataset.sample("a.png")
    assert (sample["state"], sample["labeled_by"], sample["labeled_origin"]) == ("LABELED", "sync", "SYNC")
    rows = await dataset.rows(
        "SELECT name, sample_count, annotation_count FROM label JOIN label_count ON id = label_id"
    )
    assert {tuple(row) for row in rows} == {("cat", 1, 3), ("dog", 1, 1)}
    made = await dataset.rows("SELECT DISTINCT labeled_by, origin, confirmed FROM annotation")
    assert [tuple(row) for row in made] == [("sync", "SYNC", True)]
    assert await wrong(dataset) == []


async def test_a_text_beside_it_is_ignored_and_the_suffix_may_be_in_any_case(dataset: DatasetFixture) -> None:
    dataset.put("a.png", image_bytes(size=SIZE))
    dataset.put("a.txt", "bird")
    dataset.put("a.XML", voc(ParsedAnnotation("cat", LEFT)))
    job = await dataset.sync()
    assert await dataset.labels() == {"a.png": ["cat"]}
    assert (job["scanned"], job["ignored"]) == (3, 1)


async def test_classification_ignores_xml(database: Database) -> None:
    dataset = await dataset_fixture.memory(database)
    put(dataset, "a", ParsedAnnotation("cat", LEFT))
    job = await dataset.sync()
    assert await dataset.labels() == {"a.png": []}
    assert job["ignored"] == 1


async def test_two_images_of_one_stem_share_a_sidecar_each_as_far_as_it_fits(dataset: DatasetFixture) -> None:
    dataset.put("a.png", image_bytes(size=SIZE))
    dataset.put("a.jpg", image_bytes(size=(25, 48), form="JPEG"))
    dataset.put("b.png", image_bytes(size=SIZE))
    dataset.put("b.jpg", image_bytes(size=(25, 48), form="JPEG"))
    boxes = voc(ParsedAnnotation("cat", LEFT), ParsedAnnotation("dog", RIGHT))
    dataset.put("b.xml", boxes.replace("<width>64</width>", "<width/>"))
    dataset.put("a.xml", boxes)
    job = await dataset.sync()
    assert await dataset.labels() == {
        "a.jpg": [], "a.png": ["cat", "dog"], "b.jpg": ["cat"], "b.png": ["cat", "dog"],
    }  # fmt: skip
    reported = [(path, message[:30]) for path, message in await dataset.warnings(job["id"])]
    assert reported == [("a.xml", "The image has 25 × 48 pixels; "), ("b.xml:15", "The shape reaches from (30, 1)")]


async def test_syncing_again_writes_nothing(dataset: DatasetFixture) -> None:
    put(
        dataset, "a", ParsedAnnotation("cat", LEFT), ParsedAnnotation("cat", LEFT), ParsedAnnotation("dog", ROUND, 0.25)
    )
    await dataset.sync()
    tables = ("sample", "source", "dataset", "annotation")
    versions = " UNION ALL ".join(f"SELECT xmin, ctid, id FROM {table}" for table in tables)
    before = await dataset.rows(versions)
    assert counted(await dataset.sync())
    assert counted(await dataset.sync(existing="OVERWRITE"))
    dataset.touch("a.xml")
    assert counted(await dataset.sync())
    assert [row["id"] for row in await dataset.rows(versions)] == [row["id"] for row in before]
    assert len(await dataset.changes()) == 1


async def test_a_changed_sidecar_changes_what_it_changes_and_nothing_else(dataset: DatasetFixture) -> None:
    put(
        dataset,
        "a",
        ParsedAnnotation("cat", LEFT),
        ParsedAnnotation("cat", LEFT),
        ParsedAnnotation("cat", RIGHT),
        ParsedAnnotation("dog", SMALL),
    )
    await dataset.sync()
    [twin, _, right, _] = await annotation_ids(dataset)
    dataset.put(
        "a.xml", voc(ParsedAnnotation("cat", RIGHT), ParsedAnnotation("bird", ROUND), ParsedAnnotation("cat", LEFT))
    )
    job = await dataset.sync()
    assert counted(job, updated=1)
    assert await annotations_of(dataset, "a.png") == [("cat", LEFT, None), ("cat", RIGHT, None), ("bird", ROUND, None)]
    assert (await annotation_ids(dataset))[:2] == [twin, right]
    assert await dataset.labels() == {"a.png": ["bird", "cat"]}
    past = await dataset.rows("SELECT shape IS NOT NULL AS kept FROM annotation_past")
    assert [row["kept"] for row in past] == [True, True]
    assert await wrong(dataset) == []


@pytest.mark.parametrize(
    "after",
    [
        [ParsedAnnotation("cat", SMALL), ParsedAnnotation("cat", RIGHT)],
        [ParsedAnnotation("cat", LEFT)],
        [ParsedAnnotation("cat", LEFT), ParsedAnnotation("cat", RIGHT), ParsedAnnotation("cat", RIGHT)],
        [ParsedAnnotation("cat", LEFT, 0.5), ParsedAnnotation("cat", RIGHT)],
        [ParsedAnnotation("cat", LEFT, attributes=Attributes(difficult=True)), ParsedAnnotation("cat", RIGHT)],
        [],
    ],
)
async def test_the_same_labels_with_other_shapes_are_a_change(
    database: Database, after: list[ParsedAnnotation]
) -> None:
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    put(dataset, "a", ParsedAnnotation("cat", LEFT), ParsedAnnotation("cat", RIGHT))
    await dataset.sync()
    dataset.put("a.xml", voc(*after))
    assert counted(await dataset.sync(), updated=1)
    assert sorted(await annotations_of(dataset, "a.png"), key=str) == sorted(
        [(annotation.label, annotation.shape, annotation.confidence) for annotation in after], key=str
    )
    assert (await dataset.sample("a.png"))["hard"] == any(annotation.attributes.difficult for annotation in after)
    assert await wrong(dataset) == []


async def test_a_removed_sidecar_takes_nothing(dataset: DatasetFixture) -> None:
    put(dataset, "a", ParsedAnnotation("cat", LEFT))
    await dataset.sync()
    dataset.remove("a.xml")
    assert counted(await dataset.sync())
    assert await annotations_of(dataset, "a.png") == [("cat", LEFT, None)]


async def test_a_sidecar_speaks_over_people_only_when_it_is_asked_to(dataset: DatasetFixture) -> None:
    put(dataset, "a", ParsedAnnotation("cat", LEFT))
    await dataset.sync()
    await dataset.label_by_hand("a.png", "mine")
    dataset.put("a.xml", voc(ParsedAnnotation("dog", RIGHT)))
    assert counted(await dataset.sync())
    assert await dataset.labels() == {"a.png": ["mine"]}
    assert counted(await dataset.sync(existing="OVERWRITE"), updated=1)
    assert await annotations_of(dataset, "a.png") == [("dog", RIGHT, None)]
    assert await wrong(dataset) == []


async def test_difficult_makes_a_sample_hard_and_a_changed_sidecar_can_unmake_it(dataset: DatasetFixture) -> None:
    put(
        dataset,
        "a",
        ParsedAnnotation("cat", LEFT),
        ParsedAnnotation("cat", RIGHT, attributes=Attributes(difficult=True)),
    )
    put(dataset, "b", ParsedAnnotation("cat", LEFT))
    await dataset.sync()
    assert [(await dataset.sample(path))["hard"] for path in ("a.png", "b.png")] == [True, False]
    put(dataset, "a", ParsedAnnotation("cat", LEFT), ParsedAnnotation("cat", RIGHT))
    assert counted(await dataset.sync(), updated=1)
    assert not (await dataset.sample("a.png"))["hard"]


async def test_a_bad_sidecar_is_a_warning_with_its_line(dataset: DatasetFixture) -> None:
    put(dataset, "bad")
    dataset.put("bad.xml", "<annotation>\n<object>\n</annotation>")
    put(dataset, "good", ParsedAnnotation("cat", LEFT))
    put(
        dataset,
        "half",
        ParsedAnnotation("cat", LEFT),
        ParsedAnnotation("cat", BoundingBox(1, 1, 65, 40)),
        ParsedAnnotation("two words", LEFT),
    )
    job = await dataset.sync()
    assert (job["status"], counted(job, added=3)) == ("SUCCEEDED", True)
    assert await dataset.labels() == {"bad.png": [], "good.png": ["cat"], "half.png": ["cat"]}
    assert [path for path, _ in await dataset.warnings(job["id"])] == ["bad.xml:3", "half.xml:15", "half.xml:24"]


async def test_a_spoilt_sidecar_takes_nothing(dataset: DatasetFixture) -> None:
    put(dataset, "a", ParsedAnnotation("cat", LEFT))
    await dataset.sync()
    dataset.put("a.xml", "<annotation><object/></annotation>")
    assert counted(await dataset.sync())
    assert await annotations_of(dataset, "a.png") == [("cat", LEFT, None)]


async def test_segmentation_takes_polygons_alone(database: Database) -> None:
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="IMAGE_SEGMENTATION")
    put(dataset, "a", ParsedAnnotation("cat", AREA), ParsedAnnotation("dog", LEFT))
    job = await dataset.sync()
    assert await annotations_of(dataset, "a.png") == [("cat", AREA, None)]
    [(path, message)] = await dataset.warnings(job["id"])
    assert (path, message) == ("a.xml:15", "Annotations of this dataset have shapes of these types: Polygon.")


async def test_moved_changed_and_removed_files_keep_their_shapes(dataset: DatasetFixture) -> None:
    for stem in ("moved", "changed", "removed"):
        put(dataset, stem, ParsedAnnotation("cat", LEFT), ParsedAnnotation("dog", RIGHT))
    await dataset.sync()
    before = await annotation_ids(dataset)
    dataset.move("moved.png", "there/moved.png")
    dataset.put("changed.png", image_bytes(size=SIZE))
    dataset.remove("removed.png")
    assert counted(await dataset.sync(), moved=1, updated=1, removed=1)
    for path in ("there/moved.png", "changed.png"):
        assert await annotations_of(dataset, path) == [("cat", LEFT, None), ("dog", RIGHT, None)]
    assert set(await annotation_ids(dataset)) < set(before)
    past = await dataset.rows("SELECT id, shape IS NOT NULL AS kept FROM annotation_past")
    assert {row["id"] for row in past} == set(before) - set(await annotation_ids(dataset))
    assert all(row["kept"] for row in past)
    assert await wrong(dataset) == []


async def test_a_moved_image_takes_up_the_sidecar_of_its_new_place(dataset: DatasetFixture) -> None:
    put(dataset, "a", ParsedAnnotation("cat", LEFT))
    await dataset.sync()
    dataset.move("a.png", "b.png")
    dataset.put("b.xml", voc(ParsedAnnotation("cat", SMALL)))
    assert counted(await dataset.sync(), moved=1, updated=1)
    assert await annotations_of(dataset, "b.png") == [("cat", SMALL, None)]


async def test_what_was_deleted_here_comes_back_with_its_shapes_when_it_is_asked_for(dataset: DatasetFixture) -> None:
    put(
        dataset,
        "a",
        ParsedAnnotation("cat", LEFT, attributes=Attributes(difficult=True)),
        ParsedAnnotation("cat", RIGHT),
    )
    await dataset.sync()
    await dataset.delete_by_hand("a.png")
    assert counted(await dataset.sync())
    assert counted(await dataset.sync(restore_removed=True), added=1)
    assert await annotations_of(dataset, "a.png") == [("cat", LEFT, None), ("cat", RIGHT, None)]
    assert (await dataset.sample("a.png"))["hard"]
    assert await wrong(dataset) == []


async def test_little_is_in_hand_at_once_however_much_sidecars_say(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MAX_ANNOTATIONS", 20)
    monkeypatch.setattr(entries, "SIDECARS", 2 * 1024 * 1024)
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    for number in range(12):
        put(dataset, f"{number:02}", *[ParsedAnnotation(f"cat-{number % 5}", LEFT), ParsedAnnotation("dog", RIGHT)] * 4)
    job = await dataset.sync()
    assert counted(job, added=12)
    assert await dataset.changes() == ["Sync: 4 added"] * 3
    assert len(await annotation_ids(dataset)) == 96
    assert await wrong(dataset) == []


async def crowded(database: Database) -> DatasetFixture:
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    for number in range(4):
        put(
            dataset,
            f"old{number}",
            ParsedAnnotation("cat", LEFT),
            ParsedAnnotation("dog", RIGHT),
            ParsedAnnotation("dog", RIGHT),
        )
    await dataset.sync()
    for number in range(4):
        dataset.put(
            f"old{number}.xml",
            voc(
                ParsedAnnotation("cat", LEFT),
                ParsedAnnotation("dog", SMALL, attributes=Attributes(difficult=True)),
                ParsedAnnotation("dog", RIGHT),
            ),
        )
        put(
            dataset,
            f"new{number}",
            ParsedAnnotation("cat", ROUND),
            ParsedAnnotation(f"new-{number}", SMALL),
            ParsedAnnotation("a b", SMALL),
        )
    return dataset


async def seen(dataset: DatasetFixture, job_id: int) -> dict[str, Any]:
    paths = [*await dataset.labels()]
    return {
        "annotations": {path: sorted(await annotations_of(dataset, path), key=str) for path in paths},
        "hard": {path: (await dataset.sample(path))["hard"] for path in paths},
        "counters": await dataset.counts(job_id),
        "warnings": sorted(await dataset.warnings(job_id)),
        "wrong": await wrong(dataset),
    }


async def test_a_crash_at_any_step_leaves_no_trace(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 3)
    clean = await clean_run(database, crowded, seen)
    assert (clean["wrong"], clean["counters"]["updated"], clean["counters"]["added"]) == ([], 4, 4)
    assert await crash_at_each_step(database, crowded, seen, clean) > 10, (
        "the scenario has become too small to tell anything"
    )


async def test_real_cells_are_synced_to_the_last_box(database: Database) -> None:
    dataset = await dataset_fixture.make(database, LocalStore(CELLS), CELLS, kind="OBJECT_DETECTION")
    job = await dataset.sync()
    texts = {path.stem: path.read_text() for path in CELLS.glob("*.xml")}
    assert counted(job, added=len(texts))
    assert await dataset.warnings(job["id"]) == []
    for stem, text in texts.items():
        found = await annotations_of(dataset, f"{stem}.jpg")
        assert len(found) == text.count("<bndbox>")
        for name, box, _ in found:
            assert isinstance(box, BoundingBox)
            edges = f"<xmin>{box.x_min:g}</xmin>\n\t\t\t<ymin>{box.y_min:g}</ymin>\n\t\t\t<xmax>{box.x_max:g}</xmax>"
            assert edges in text
            assert f"<name>{name}</name>" in text


async def test_shapes_beyond_a_smaller_image_are_kept_and_reported(database: Database) -> None:
    dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    dataset.put("a.png", image_bytes(size=(64, 48)))
    await dataset.sync()
    sample = await dataset.sample("a.png")
    await dataset.do("INSERT INTO label (dataset_id, name, since) VALUES ($1, 'cat', 0)", dataset.dataset_id)
    outside = (
        '{"type": "BoundingBox", "xMin": 1, "yMin": 1, "xMax": 33, "yMax": 2}',
        '{"type": "Polygon", "points": [{"x": 1, "y": 1}, {"x": 2, "y": 30}, {"x": 3, "y": 1}]}',
        '{"type": "Polyline", "points": [{"x": 1, "y": 1}, {"x": 40, "y": 3}]}',
        '{"type": "Circle", "center": {"x": 30, "y": 5}, "radius": 4}',
        '{"type": "Point", "position": {"x": 1, "y": 25}}',
    )
    inside = '{"type": "BoundingBox", "xMin": 0, "yMin": 0, "xMax": 32, "yMax": 24}'
    await dataset.do(
        "INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, shape, since)"
        " SELECT dataset_id, $1, id, 'bob', 'MANUAL', unnest($2::text[])::jsonb, 1 FROM label",
        sample["id"],
        [*outside, inside],
    )
    await dataset.do("UPDATE sample SET state = 'LABELED', label_ids = ARRAY(SELECT id FROM label)")
    dataset.put("a.png", image_bytes(size=(32, 24)))
    job = await dataset.sync()
    assert counted(job, updated=1)
    [(path, message)] = await dataset.warnings(job["id"])
    assert path == "a.png"
    assert "32 × 24" in message
    assert "5 of its shapes" in message
    assert len(await dataset.rows("SELECT 1 FROM annotation")) == 6
    dataset.put("a.png", image_bytes(size=(32, 25)))
    assert await dataset.warnings((await dataset.sync())["id"]) == []
