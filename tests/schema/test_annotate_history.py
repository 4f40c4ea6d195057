"""What changes of shapes leave behind: they are undone, versions keep the shapes of their day, labels live on."""

from typing import Any

import pytest

from tests.schema.annotation_fixture import (
    ANNOTATIONS,
    BOX,
    add_annotations,
    annotate,
    annotations,
    answered_box,
    box,
    edit_of,
    labels_and_shapes,
    new,
    suggest,
)
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import answer_in_version

FACTS = f"""query ($d: ID!) {{ dataset(by: {{id: $d}}) {{
    statistics {{ totalCount labeledCount unlabeledCount pendingCount }}
    labels {{ id name sampleCount annotationCount }} samples(first: 100, orderBy: {{field: CREATED_AT}}) {{ nodes {{
        id state labels {{ name }} labeledBy labeledAt annotations {{ {ANNOTATIONS} }} }} }} }} }}"""
VERSION = f"""query ($v: ID!) {{ node(id: $v) {{ ... on Version {{ labels {{ name annotationCount }}
    samples(first: 100, orderBy: {{field: CREATED_AT}}) {{ nodes {{ annotations {{ {ANNOTATIONS} }} }} }} }} }} }}"""
COMPARE = """query ($d: ID!, $b: ID!) { dataset(by: {id: $d}) { comparison(baseId: $b) {
    relabeledCount changes { nodes { kind addedLabelNames removedLabelNames sample { id } } } } } }"""


async def facts(client: DatasetClient) -> Any:
    return await client.direct.execute(FACTS, {"d": client.dataset})


async def undo(client: DatasetClient, change: str) -> str:
    return str((await client.mutate("undoChange", "change { id }", changeId=change))["change"]["id"])


async def done(client: DatasetClient, *edits: dict[str, Any], **more: Any) -> str:
    """The id of the change."""
    return str((await annotate(client, *edits, **more))["change"]["id"])


def edits_of(name: str, ids: list[str], whole: list[str]) -> dict[str, Any]:
    cat, dog = whole
    edits: dict[str, dict[str, Any]] = {
        "add": {"add": [new("cat", box(5)), new("bird"), new("bird", box(6))]},
        "a new label": {"add": [new("zebra", box(5))]},
        "move": {"update": [{"id": id, "shape": box(7)} for id in ids]},
        "relabel": {"update": [{"id": id, "label": "bird"} for id in ids]},
        "remove": {"remove": [*ids, *whole]},
        "swap": {"update": [{"id": cat, "label": "dog"}, {"id": dog, "label": "cat"}]},
        "become one": {"update": [{"id": cat, "label": "dog"}]},
        "give a shape": {"update": [{"id": cat, "shape": box(8)}], "add": [new("cat")]},
        "all at once": {"update": [{"id": ids[0], "shape": box(9)}], "remove": ids[1:], "add": [new("dog", box(3))]},
    }
    return edits[name]


@pytest.mark.parametrize(
    "name",
    ["add", "a new label", "move", "relabel", "remove", "swap", "become one", "give a shape", "all at once"],
)
async def test_undoing_brings_every_shape_back_and_undoing_that_does_it_again(boxes: DatasetClient, name: str) -> None:
    *ids, cat, dog = await add_annotations(boxes, 0, new("cat", box()), new("dog", box()), new("cat"), new("dog"))
    await add_annotations(boxes.as_somebody("bob"), 1, new("dog", box()))
    before = await facts(boxes)
    change = await done(boxes, edit_of(boxes, 0, **edits_of(name, ids, [cat, dog])), createMissing=True)
    after = await facts(boxes)
    assert after != before
    undone = await undo(boxes, change)
    assert await facts(boxes) == before
    await boxes.check()
    await undo(boxes, undone)
    assert await facts(boxes) == after
    await boxes.check()


async def test_later_changes_of_the_same_shape_are_in_the_way_and_others_are_not(boxes: DatasetClient) -> None:
    first = await done(boxes, edit_of(boxes, 0, add=[new("cat", box())]))
    [id] = [each["id"] for each in await annotations(boxes, 0)]
    moved = await done(boxes, edit_of(boxes, 0, update=[{"id": id, "shape": box(11)}]))
    existing = await done(boxes.as_somebody("bob"), edit_of(boxes, 0, add=[new("cat", box(50))]))
    refused = await boxes.refused("undoChange", changeId=first)
    assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [moved])
    await undo(boxes, moved)
    await undo(boxes, first)
    assert await labels_and_shapes(boxes) == [("cat", answered_box(50))]
    await undo(boxes, existing)
    assert await labels_and_shapes(boxes) == []
    await boxes.check()


async def test_moving_a_shape_there_and_back_leaves_nothing_in_the_way(boxes: DatasetClient) -> None:
    [id] = await add_annotations(boxes, 0, new("cat", box()))
    gone = await done(boxes, edit_of(boxes, 0, remove=[id]))
    again = await done(boxes, edit_of(boxes, 0, add=[new("cat", box())]))
    await undo(boxes, gone)  # the same shape twice: two annotators drew it, and neither is lost
    assert await labels_and_shapes(boxes) == [("cat", answered_box()), ("cat", answered_box())]
    await undo(boxes, again)
    assert [each["id"] for each in await annotations(boxes, 0)] == [id]
    await boxes.check()


async def test_versions_keep_the_shapes_of_their_day(boxes: DatasetClient) -> None:
    moved, gone = await add_annotations(boxes, 0, new("cat", box()), new("dog", box()))
    before = (await facts(boxes))["dataset"]["samples"]["nodes"]
    version = (await boxes.mutate("publishVersion", "version { id }", datasetId=boxes.dataset))["version"]["id"]
    edit = edit_of(boxes, 0, update=[{"id": moved, "shape": box(11), "label": "bird"}], remove=[gone], add=[new("cat")])
    await annotate(boxes.as_somebody("bob"), edit, edit_of(boxes, 1, add=[new("cat", box())]))
    found = (await boxes.direct.execute(VERSION, {"v": version}))["node"]
    then = answer_in_version(before, version)
    assert [each["annotations"] for each in found["samples"]["nodes"]] == [each["annotations"] for each in then]
    assert {each["name"]: each["annotationCount"] for each in found["labels"]} == {"cat": 1, "dog": 1, "bird": 0}
    await boxes.mutate("setCurrentVersion", "dataset { id }", versionId=version, onUnpublished="DISCARD")
    assert (await facts(boxes))["dataset"]["samples"]["nodes"][0]["annotations"] == before[0]["annotations"]
    assert await labels_and_shapes(boxes, 1) == []
    await boxes.check()


async def test_a_comparison_tells_of_labels_not_of_shapes(boxes: DatasetClient) -> None:
    ids = await add_annotations(boxes, 0, new("cat", box()), new("dog", box()))
    await add_annotations(boxes, 1, new("cat", box()))
    version = (await boxes.mutate("publishVersion", "version { id }", datasetId=boxes.dataset))["version"]["id"]
    moved = edit_of(boxes, 0, update=[{"id": ids[0], "shape": box(11)}, {"id": ids[1], "label": "cat"}])
    await annotate(boxes, moved, edit_of(boxes, 1, add=[new("cat", box(50)), new("cat")]))
    found = (await boxes.direct.execute(COMPARE, {"d": boxes.dataset, "b": version}))["dataset"]["comparison"]
    assert found["relabeledCount"] == 1
    assert found["changes"]["nodes"] == [
        {"kind": "RELABELED", "addedLabelNames": [], "removedLabelNames": ["dog"], "sample": {"id": boxes.ids(0)[0]}}
    ]


async def label(client: DatasetClient, mode: str, *names: str) -> Any:
    input_: dict[str, Any] = {"select": {"ids": client.ids(0)}, "labels": list(names), "mode": mode}
    return await client.mutate("labelSamples", "changedCount samples { state }", datasetId=client.dataset, **input_)


async def test_labelling_lives_with_shapes(boxes: DatasetClient) -> None:
    await add_annotations(boxes, 0, new("cat", box()), new("cat", box(50)), new("dog", box()), new("dog"))
    shapes = [("cat", answered_box()), ("cat", answered_box(50)), ("dog", answered_box()), ("dog", None)]
    assert (await label(boxes, "ADD", "cat", "dog"))["changedCount"] == 0
    assert (await label(boxes, "SET", "dog", "cat"))["changedCount"] == 0
    assert await labels_and_shapes(boxes) == shapes
    await label(boxes, "ADD", "bird")
    assert await labels_and_shapes(boxes) == [*shapes, ("bird", None)]
    await label(boxes, "SET", "cat")
    assert await labels_and_shapes(boxes) == shapes[:2]
    assert (await label(boxes, "REMOVE", "cat"))["samples"] == [{"state": "UNLABELED"}]
    assert await labels_and_shapes(boxes) == []
    await boxes.check()


@pytest.mark.parametrize("how", ["merge", "replace"])
async def test_labels_that_become_one_keep_all_shapes_and_one_whole_image(boxes: DatasetClient, how: str) -> None:
    ids = await add_annotations(
        boxes, 0, new("cat", box()), new("cat"), new("dog", box()), new("dog"), new("dog", box(50))
    )
    before = await facts(boxes)
    input_: dict[str, Any] = {"labelId": boxes.label("cat"), "name": "dog", "onConflict": "MERGE"}
    if how == "replace":
        input_ = {"datasetId": boxes.dataset, "select": {"all": True}, "from": "cat", "to": "dog"}
    field = "renameLabel" if how == "merge" else "replaceSampleLabel"
    change = (await boxes.mutate(field, "change { id }", **input_))["change"]["id"]
    found = await annotations(boxes, 0)
    assert [each["id"] for each in found] == [ids[0], *ids[2:]]
    assert await labels_and_shapes(boxes) == [
        ("dog", answered_box()),
        ("dog", answered_box()),
        ("dog", None),
        ("dog", answered_box(50)),
    ]
    await boxes.check()
    await undo(boxes, change)
    assert await facts(boxes) == before


async def test_a_models_confidence_goes_when_somebody_replaces_the_label_and_stays_in_a_merge(
    boxes: DatasetClient,
) -> None:
    id = await suggest(boxes, 0, "cat", BOX, 0.25)
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": id}]))
    await boxes.mutate("renameLabel", "change { id }", labelId=boxes.label("cat"), name="bird", onConflict="MERGE")
    assert [each["confidence"] for each in await annotations(boxes, 0)] == [0.25]
    input_: dict[str, Any] = {"select": {"all": True}, "from": "bird", "to": "dog"}
    await boxes.mutate("replaceSampleLabel", "change { id }", datasetId=boxes.dataset, **input_)
    assert [(each["id"], each["confidence"]) for each in await annotations(boxes, 0)] == [(id, None)]


async def test_a_deleted_label_takes_its_shapes_and_undoing_brings_them_back(boxes: DatasetClient) -> None:
    await add_annotations(boxes, 0, new("cat", box()), new("dog", box()))
    await add_annotations(boxes, 1, new("cat", box()), new("cat", box(50)))
    before = await facts(boxes)
    input_: dict[str, Any] = {"labelIds": [boxes.label("cat")], "mode": "LABEL_AND_SAMPLES"}
    payload = await boxes.mutate("deleteLabels", "deletedSampleCount change { id }", **input_)
    assert payload["deletedSampleCount"] == 1
    assert await labels_and_shapes(boxes) == [("dog", answered_box())]
    await boxes.check()
    await undo(boxes, payload["change"]["id"])
    assert await facts(boxes) == before
