"""Shapes that a sync brought, through all that can happen to a sample: none is lost, none comes back changed."""

from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from db.formats.annotations import Attributes, ParsedAnnotation
from db.formats.shapes import BoundingBox, Circle, Polygon, Position
from db.identity import tokens
from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database
from db.storage import LocalStore
from tests.client import Direct
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture
from tests.db.dataset_rows import DatasetRows
from tests.db.test_sync_voc import put, voc
from tests.schema.mutation_fixture import DatasetClient, schema
from tests.schema.version_fixture import answer_in_version

LEFT, RIGHT = BoundingBox(1, 1, 20.5, 40), BoundingBox(30, 1, 60, 40)
ROUND = Circle(Position(30, 20), 10)
SCANNED = Attributes(truncated=True, occluded=True, pose="Left")
AREA = Polygon((Position(1, 1), Position(9, 1), Position(9, 9)))
SAMPLES = """statistics { totalCount labeledCount } labels { id name sampleCount annotationCount }
    samples(first: 100, orderBy: {field: PATH}) { nodes { id path isHard state labels { name } annotations {
        id label { id } labeledBy labeledAt origin confidence isConfirmed isDifficult isTruncated isOccluded pose
        shape { __typename
            ... on BoundingBox { xMin yMin xMax yMax } ... on Polygon { points { x y } }
            ... on Circle { center { x y } radius } } } } }"""
FACTS = f"query ($id: ID!) {{ node(id: $id) {{ ... on Dataset {{ {SAMPLES} }} ... on Version {{ {SAMPLES} }} }} }}"


@pytest.fixture
async def dataset(database: Database, tmp_path: Path) -> DatasetFixture:
    """Three images with a dog and two cats each, in a directory, synced."""
    dataset = await dataset_fixture.make(database, LocalStore(tmp_path), tmp_path, kind="OBJECT_DETECTION")
    for stem in "abc":
        put(
            dataset,
            stem,
            ParsedAnnotation("cat", LEFT, 0.5),
            ParsedAnnotation("cat", AREA, attributes=Attributes(difficult=stem == "b")),
            ParsedAnnotation("dog", ROUND, attributes=SCANNED),
        )
    await dataset.sync()
    return dataset


@pytest.fixture
async def client(dataset: DatasetFixture) -> DatasetClient:
    async with dataset.database.writing() as session:
        await tokens.create(session, name="ann", scope=Scope.MANAGE)
    [token] = await dataset.rows("SELECT id FROM token")
    rows = await dataset.rows("SELECT id FROM sample ORDER BY path")
    labels = {row["name"]: row["id"] for row in await dataset.rows("SELECT id, name FROM label")}
    assert dataset.root is not None
    settings = Settings(allowed_roots=(dataset.root.resolve(),))
    direct = Direct(schema(), dataset.database, Identity("ann", Scope.MANAGE, token["id"]), settings)
    return DatasetClient(direct, DatasetRows(dataset.dataset_id, [row["id"] for row in rows], labels), dataset.root)


async def facts(client: DatasetClient, id: str | None = None) -> Any:
    return (await client.direct.execute(FACTS, {"id": id or client.dataset}))["node"]


async def last_change(client: DatasetClient) -> str:
    query = "query ($id: ID!) { node(id: $id) { ... on Dataset { changes(first: 1) { nodes { id } } } } }"
    data = await client.direct.execute(query, {"id": client.dataset})
    return str(data["node"]["changes"]["nodes"][0]["id"])


def redraw(dataset: DatasetFixture) -> None:
    for stem in "ab":
        dataset.put(
            f"{stem}.xml",
            voc(
                ParsedAnnotation("cat", AREA),
                ParsedAnnotation("bird", RIGHT),
                ParsedAnnotation("dog", ROUND, attributes=Attributes(difficult=True)),
            ),
        )


async def test_annotations_are_read_as_they_were_written(client: DatasetClient) -> None:
    found = await facts(client)
    assert [(label["name"], label["sampleCount"], label["annotationCount"]) for label in found["labels"]] == [
        ("cat", 3, 6),
        ("dog", 3, 3),
    ]
    [first, second, _] = found["samples"]["nodes"]
    assert (first["isHard"], second["isHard"]) == (False, True)
    assert [(one["confidence"], one["shape"]) for one in first["annotations"]] == [
        (0.5, {"__typename": "BoundingBox", "xMin": 1, "yMin": 1, "xMax": 20.5, "yMax": 40}),
        (None, {"__typename": "Polygon", "points": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]}),
        (None, {"__typename": "Circle", "center": {"x": 30, "y": 20}, "radius": 10}),
    ]


FROM_CAT: dict[str, Any] = {"from": "cat", "to": "dog"}
WORDS = ("isDifficult", "isTruncated", "isOccluded", "pose")


async def said(client: DatasetClient, at: int) -> list[tuple[Any, ...]]:
    found = (await facts(client))["samples"]["nodes"][at]["annotations"]
    return [tuple(each[word] for word in WORDS) for each in found]


async def test_what_a_file_says_of_an_object_outlasts_its_redrawing(client: DatasetClient) -> None:
    plain, hard, seen = (False,) * 3 + (None,), (True, False, False, None), (False, True, True, "Left")
    assert await said(client, 1) == [plain, hard, seen]
    [sample] = client.ids(1)
    annotations = (await facts(client))["samples"]["nodes"][1]["annotations"]
    box = {"boundingBox": {"xMin": 2, "yMin": 2, "xMax": 9, "yMax": 9}}
    edits = [{"id": annotations[1]["id"], "shape": box}, {"id": annotations[2]["id"], "label": "cat"}]
    await client.mutate(
        "annotateSamples",
        "changedCount",
        datasetId=client.dataset,
        samples=[{"sampleId": sample, "update": edits, "add": [{"label": "new", "shape": box}]}],
        createMissing=True,
    )
    assert await said(client, 1) == [plain, hard, seen, plain]
    drawn = await last_change(client)
    await client.mutate(
        "replaceSampleLabel", "changedCount", datasetId=client.dataset, select={"ids": [sample]}, **FROM_CAT
    )
    assert await said(client, 1) == [plain, hard, seen, plain]
    for change_id in (await last_change(client), drawn):
        await client.mutate("undoChange", "__typename", changeId=change_id)
    assert await said(client, 1) == [plain, hard, seen]


async def test_a_version_keeps_the_shapes_of_its_day_and_gives_them_back(
    client: DatasetClient, dataset: DatasetFixture
) -> None:
    before = await facts(client)
    payload = await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    version = payload["version"]["id"]
    redraw(dataset)
    await dataset.sync()
    after = await facts(client)
    assert after != before
    assert await facts(client, version) == answer_in_version(before, version)
    await client.mutate("setCurrentVersion", "__typename", versionId=version, onUnpublished="DISCARD")
    assert await facts(client) == before
    await client.check()
    await client.mutate("undoChange", "__typename", changeId=await last_change(client))
    assert await facts(client) == after
    assert await facts(client, version) == answer_in_version(before, version)
    await client.check()


async def change(client: DatasetClient, dataset: DatasetFixture, how: str) -> None:
    match how:
        case "sync redraws":
            redraw(dataset)
        case "sync removes":
            dataset.remove("a.png")
        case "sync moves":
            dataset.move("a.png", "there/a.png")
        case "sync overwrites":
            pass
        case _:
            return await ask(client, how)
    await dataset.sync(existing="OVERWRITE")
    return None


async def ask(client: DatasetClient, how: str) -> None:
    pair: dict[str, Any] = {"datasetId": client.dataset, "select": {"ids": client.ids(0, 1)}}
    cat = client.label("cat")
    field, input = {
        "remove a label": ("labelSamples", pair | {"labels": ["cat"], "mode": "REMOVE"}),
        "set a label": ("labelSamples", pair | {"labels": ["dog"], "mode": "SET"}),
        "replace a label": ("replaceSampleLabel", pair | {"from": "cat", "to": "dog"}),
        "delete samples": ("deleteSamples", pair),
        "delete a label": ("deleteLabels", {"labelIds": [cat], "mode": "LABEL_ONLY"}),
        "merge labels": ("renameLabel", {"labelId": cat, "name": "dog", "onConflict": "MERGE"}),
    }[how]
    await client.mutate(field, "__typename", **input)


@pytest.mark.parametrize(
    "how",
    [
        *("sync redraws", "sync overwrites", "sync removes", "sync moves", "remove a label", "set a label"),
        *("replace a label", "delete samples", "delete a label", "merge labels"),
    ],
)
async def test_whatever_is_undone_gives_every_shape_back(
    client: DatasetClient, dataset: DatasetFixture, how: str
) -> None:
    if how == "sync overwrites":
        await ask(client, "set a label")
    before = await facts(client)
    await change(client, dataset, how)
    after = await facts(client)
    assert after != before
    await client.check()
    done = await last_change(client)
    await client.mutate("undoChange", "__typename", changeId=done)
    undone = await facts(client)
    if how == "sync moves":  # a file is at its path
        undone["samples"]["nodes"].sort(key=lambda node: node["id"])
        before["samples"]["nodes"].sort(key=lambda node: node["id"])
        for node in (*undone["samples"]["nodes"], *before["samples"]["nodes"]):
            del node["path"]
    assert undone == before
    await client.check()


async def test_replaced_and_merged_labels_keep_all_their_shapes(client: DatasetClient, dataset: DatasetFixture) -> None:
    before = await facts(client)
    await change(client, dataset, "merge labels")
    found = await facts(client)
    assert [(label["name"], label["annotationCount"]) for label in found["labels"]] == [("dog", 9)]
    for was, now in zip(before["samples"]["nodes"], found["samples"]["nodes"], strict=True):
        assert [one["shape"] for one in now["annotations"]] == [one["shape"] for one in was["annotations"]]


async def test_sources_go_with_their_xml_unless_another_image_needs_it(
    client: DatasetClient, dataset: DatasetFixture
) -> None:
    dataset.put("b.jpg", dataset_fixture.image_bytes(size=(64, 48), form="JPEG"))
    dataset.move("a.xml", "a.XML")
    await dataset.sync()
    deleted = await client.mutate(
        "deleteSamples",
        "deletedSampleCount deletedSourceCount failedSources { path message }",
        datasetId=client.dataset,
        select={"ids": client.ids(0, 1)},
        deleteSources=True,
    )
    assert deleted == {"deletedSampleCount": 2, "deletedSourceCount": 2, "failedSources": []}
    assert sorted(path.name for path in client.root.iterdir()) == ["b.jpg", "b.xml", "c.png", "c.xml"]
    await client.check()


async def test_a_sync_leaves_alone_what_a_person_has_drawn(client: DatasetClient, dataset: DatasetFixture) -> None:
    edit = {"sampleId": client.ids(0)[0], "add": [{"label": "dog", "shape": {"boundingBox": _box(2, 2, 9, 9)}}]}
    await client.mutate("annotateSamples", "changedCount", datasetId=client.dataset, samples=[edit])
    before = await facts(client)
    redraw(dataset)
    await dataset.sync()
    after = await facts(client)
    assert after["samples"]["nodes"][0] == before["samples"]["nodes"][0]
    assert after["samples"]["nodes"][1] != before["samples"]["nodes"][1]
    await client.check()


def _box(left: float, top: float, right: float, bottom: float) -> dict[str, float]:
    return {"xMin": left, "yMin": top, "xMax": right, "yMax": bottom}
