"""annotateSamples: what it does to a sample's annotations, and what it returns."""

from pathlib import Path
from typing import Any

import pytest

from db.postgres.engine import Database
from tests.schema.annotation_fixture import (
    BOX,
    add_annotations,
    annotate,
    annotations,
    answered_box,
    box,
    create_box_client,
    edit_of,
    labels_and_shapes,
    new,
    suggest,
    triangle,
)
from tests.schema.mutation_fixture import DatasetClient

SHAPES = [
    (box(0, 0, 640, 480), answered_box(0, 0, 640, 480)),
    (triangle(), {"__typename": "Polygon", "points": [{"x": 10, "y": 0}, {"x": 60, "y": 0}, {"x": 10, "y": 50.5}]}),
    (
        {"polyline": {"points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}},
        {"__typename": "Polyline", "points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
    ),
    (
        {"circle": {"center": {"x": 9, "y": 8}, "radius": 7.5}},
        {"__typename": "Circle", "center": {"x": 9, "y": 8}, "radius": 7.5},
    ),
    ({"point": {"position": {"x": 640, "y": 0}}}, {"__typename": "Point", "position": {"x": 640, "y": 0}}),
    (None, None),
]


@pytest.mark.portable
async def test_puts_moves_relabels_and_takes_off_in_one_change(boxes: DatasetClient) -> None:
    moved, relabelled, gone = await add_annotations(
        boxes, 0, new("cat", box()), new("cat", box(50)), new("dog", box(60, 5, 70, 9))
    )
    edit = edit_of(
        boxes,
        0,
        add=[new("bird", box(1, 2, 3, 4)), new("cat")],
        update=[{"id": moved, "shape": box(11)}, {"id": relabelled, "label": "bird"}],
        remove=[gone],
    )
    payload = await annotate(boxes.as_somebody("bob"), edit, edit_of(boxes, 1, add=[new("cat", box())]))
    assert (payload["matchedCount"], payload["changedCount"], payload["unchangedCount"], payload["notFoundIds"]) == (
        2,
        2,
        0,
        [],
    )
    found = payload["samples"][0]["annotations"]
    assert [(each["id"], each["label"]["name"], each["shape"]) for each in found[:2]] == [
        (moved, "cat", answered_box(11)),
        (relabelled, "bird", answered_box(50)),
    ]
    assert [(each["label"]["name"], each["shape"]) for each in found[2:]] == [
        ("bird", answered_box(1, 2, 3, 4)),
        ("cat", None),
    ]
    assert {(each["labeledBy"], each["origin"], each["isConfirmed"]) for each in found} == {("bob", "MANUAL", True)}
    sample = payload["samples"][0]
    assert (sample["state"], [each["name"] for each in sample["labels"]]) == ("LABELED", ["cat", "bird"])
    assert payload["change"]["kind"] == "ANNOTATE_SAMPLES"
    assert payload["change"]["summary"] == "Annotated 2 samples: 3 added, 2 changed, 1 removed"
    assert (payload["change"]["actor"], payload["change"]["isUndoable"]) == ("bob", True)
    assert payload["dataset"]["labels"] == [
        {"name": "cat", "sampleCount": 2, "annotationCount": 3},
        {"name": "dog", "sampleCount": 0, "annotationCount": 0},
        {"name": "bird", "sampleCount": 1, "annotationCount": 2},
    ]
    await boxes.check()


@pytest.mark.parametrize(("input_", "expected"), SHAPES)
async def test_every_kind_of_shape_comes_back_as_it_was_given(boxes: DatasetClient, input_: Any, expected: Any) -> None:
    await add_annotations(boxes, 0, new("cat", input_))
    assert await labels_and_shapes(boxes) == [("cat", expected)]


async def test_what_is_so_already_is_left_so_and_told(boxes: DatasetClient) -> None:
    edit = edit_of(boxes, 0, add=[new("cat", box()), new("dog"), new("cat", box()), new("cat", box(10.0000000001))])
    first = await annotate(boxes, edit)
    assert (first["changedCount"], len(first["samples"][0]["annotations"])) == (1, 2)
    before = await annotations(boxes, 0)
    ids = [each["id"] for each in before]
    again = await annotate(boxes.as_somebody("bob"), edit)
    same = [{"id": ids[0], "label": "cat", "shape": box()}, {"id": ids[1]}]
    updated = await annotate(boxes.as_somebody("bob"), edit_of(boxes, 0, update=same), edit_of(boxes, 1))
    assert (again["changedCount"], again["unchangedCount"], again["change"]) == (0, 1, None)
    assert (updated["changedCount"], updated["unchangedCount"], updated["change"]) == (0, 2, None)
    assert await annotations(boxes, 0) == before


async def test_an_annotation_that_is_off_stays_off(boxes: DatasetClient) -> None:
    ids = await add_annotations(boxes, 0, new("cat", box()), new("cat", box(50)))
    assert (await annotate(boxes, edit_of(boxes, 0, remove=[ids[0], ids[0]])))["changedCount"] == 1
    again = await annotate(boxes, edit_of(boxes, 0, remove=[ids[0]]))
    assert (again["changedCount"], again["change"]) == (0, None)
    await annotate(boxes, edit_of(boxes, 0, remove=ids))
    assert await labels_and_shapes(boxes) == []
    assert (await boxes.labelled())[0] == []
    await boxes.check()


async def test_a_shape_can_be_put_anew_where_the_same_one_is_taken_off_or_moved_away(boxes: DatasetClient) -> None:
    gone, moved = await add_annotations(boxes, 0, new("cat", box()), new("dog", box()))
    edit = edit_of(boxes, 0, add=[new("cat", box()), new("dog", box())], remove=[gone])
    await annotate(boxes, {**edit, "update": [{"id": moved, "shape": box(50)}]})
    found = await annotations(boxes, 0)
    assert [(each["label"]["name"], each["shape"]) for each in found] == [
        ("dog", answered_box(50)),
        ("cat", answered_box()),
        ("dog", answered_box()),
    ]
    assert gone not in [each["id"] for each in found]


async def test_what_an_update_makes_is_not_put_beside_it(boxes: DatasetClient) -> None:
    [id] = await add_annotations(boxes, 0, new("cat", box(9.5)))
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": id, "label": "dog"}], add=[new("dog", box(9.5))]))
    assert [each["id"] for each in await annotations(boxes, 0)] == [id]


async def test_labels_of_whole_images_change_places(boxes: DatasetClient) -> None:
    cat, dog = await add_annotations(boxes, 0, new("cat"), new("dog"))
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": cat, "label": "dog"}, {"id": dog, "label": "cat"}]))
    found = await annotations(boxes, 0)
    assert [(each["id"], each["label"]["name"], each["shape"]) for each in found] == [
        (cat, "dog", None),
        (dog, "cat", None),
    ]
    await boxes.check()


async def test_of_two_labels_of_a_whole_image_that_become_one_the_updated_stays(boxes: DatasetClient) -> None:
    cat, _dog, shaped = await add_annotations(boxes, 0, new("cat"), new("dog"), new("dog", box()))
    edit = edit_of(boxes, 0, update=[{"id": cat, "label": "dog"}])
    await annotate(boxes, edit)
    assert [(each["id"], each["label"]["name"]) for each in await annotations(boxes, 0)] == [
        (cat, "dog"),
        (shaped, "dog"),
    ]
    assert (await annotate(boxes, edit))["change"] is None
    await boxes.check()


async def test_shapes_of_one_label_never_become_one(boxes: DatasetClient) -> None:
    ids = await add_annotations(boxes, 0, new("cat", box()), new("dog", box()))
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": ids[0], "label": "dog"}]))
    assert await labels_and_shapes(boxes) == [("dog", answered_box()), ("dog", answered_box())]


async def test_a_label_of_the_whole_image_can_get_a_shape(boxes: DatasetClient) -> None:
    [id] = await add_annotations(boxes, 0, new("cat"))
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": id, "shape": box()}], add=[new("cat")]))
    assert await labels_and_shapes(boxes) == [("cat", answered_box()), ("cat", None)]


async def test_a_suggestion_is_confirmed_by_its_id_or_by_putting_the_same(boxes: DatasetClient) -> None:
    ids = [
        await suggest(boxes, 0, "cat", BOX),
        await suggest(boxes, 0, "cat", None),
        await suggest(boxes, 1, "dog", BOX),
    ]
    edits = edit_of(boxes, 0, update=[{"id": ids[0]}], add=[new("cat")]), edit_of(boxes, 1, add=[new("dog", box())])
    payload = await annotate(boxes, *edits)
    found = [each for sample in payload["samples"] for each in sample["annotations"]]
    assert [each["id"] for each in found] == ids
    assert {(e["labeledBy"], e["origin"], e["isConfirmed"], e["confidence"]) for e in found} == {
        ("ann", "MANUAL", True, 0.7)
    }
    assert [sample["state"] for sample in payload["samples"]] == ["LABELED", "LABELED"]
    assert payload["dataset"]["statistics"]["pendingCount"] == 0
    await boxes.check()


async def test_whoever_moves_or_relabels_a_suggestion_confirms_it_and_no_model_is_sure_of_it(
    boxes: DatasetClient,
) -> None:
    moved, relabelled = await suggest(boxes, 0, "cat", BOX), await suggest(boxes, 0, "cat", None)
    await annotate(
        boxes, edit_of(boxes, 0, update=[{"id": moved, "shape": box(9)}, {"id": relabelled, "label": "dog"}])
    )
    found = await annotations(boxes, 0)
    assert [(e["id"], e["isConfirmed"], e["confidence"], e["origin"]) for e in found] == [
        (moved, True, None, "MANUAL"),
        (relabelled, True, None, "MANUAL"),
    ]


async def test_a_sample_with_suggestions_alone_is_pending_again(boxes: DatasetClient) -> None:
    await suggest(boxes, 0, "cat", BOX)
    *_, id = await add_annotations(boxes, 0, new("dog", box()))
    payload = await annotate(boxes, edit_of(boxes, 0, remove=[id]))
    assert (payload["samples"][0]["state"], payload["samples"][0]["labeledBy"]) == ("PENDING", None)
    assert payload["dataset"]["statistics"]["pendingCount"] == 1
    await boxes.check()


async def test_unknown_samples_are_reported_and_the_others_done(boxes: DatasetClient) -> None:
    unknown = [{"sampleId": id, "add": [new("zebra", box(-5))]} for id in ("Sample:999", "x", "x")]
    edit = edit_of(boxes, 1, add=[new("cat", box())])
    payload = await annotate(boxes, *unknown, edit, edit, createMissing=True)
    assert (payload["matchedCount"], payload["changedCount"], payload["notFoundIds"]) == (1, 1, ["Sample:999", "x"])
    assert [each["id"] for each in payload["samples"]] == boxes.ids(1)
    assert [each["name"] for each in payload["dataset"]["labels"]] == ["cat", "dog", "bird"]


async def test_missing_labels_are_made_when_asked_to(boxes: DatasetClient) -> None:
    [id] = await add_annotations(boxes, 0, new("cat", box()))
    edit = edit_of(
        boxes, 0, add=[new("zebra", box()), new("yak")], update=[{"id": id, "label": "zebra", "shape": box(1)}]
    )
    payload = await annotate(boxes, edit, createMissing=True)
    assert [each["name"] for each in payload["dataset"]["labels"]] == ["cat", "dog", "bird", "zebra", "yak"]
    assert await labels_and_shapes(boxes) == [("zebra", answered_box(1)), ("zebra", answered_box()), ("yak", None)]
    assert (await annotate(boxes, edit, createMissing=True))["change"] is None


async def test_filters_find_samples_by_the_labels_of_their_shapes(boxes: DatasetClient) -> None:
    await add_annotations(boxes, 0, new("cat", box()), new("cat", box(50)), new("dog", box()))
    await add_annotations(boxes, 1, new("dog", box()))
    await suggest(boxes, 2, "cat", BOX)
    query = """query ($d: ID!, $f: SampleFilter) { dataset(by: {id: $d}) {
        samples(filter: $f, orderBy: {field: CREATED_AT}) { nodes { id } totalCount } } }"""
    for names, match, positions in (
        (["cat"], "ANY", [0]),
        (["cat", "dog"], "ALL", [0]),
        (["cat", "dog"], "ANY", [0, 1]),
        (["dog"], "NONE", [2, 3, 4, 5]),
    ):
        filter_ = {"labels": {"names": names, "match": match}}
        data = await boxes.direct.execute(query, {"d": boxes.dataset, "f": filter_})
        assert [each["id"] for each in data["dataset"]["samples"]["nodes"]] == boxes.ids(*positions)


async def test_a_key_given_again_gets_the_same_outcome(boxes: DatasetClient) -> None:
    edit = edit_of(boxes, 0, add=[new("cat", box())])
    first = await annotate(boxes, edit, key="k")
    assert await annotate(boxes, edit, key="k") == first
    assert first["changedCount"] == 1


async def test_a_classification_dataset_takes_labels_of_whole_images(client: DatasetClient) -> None:
    [id] = await add_annotations(client, 0, new("cat"))
    await annotate(client, edit_of(client, 0, update=[{"id": id, "label": "dog"}]))
    assert (await client.labelled())[0] == ["dog"]
    await client.check()


async def test_segmentation_takes_polygons(database: Database, tmp_path: Path) -> None:
    areas = await create_box_client(database, tmp_path, kind="IMAGE_SEGMENTATION")
    closed = {"polygon": {"points": [*triangle()["polygon"]["points"], {"x": 10, "y": 0}]}}
    assert len(await add_annotations(areas, 0, new("cat", triangle()), new("cat", closed))) == 1


async def test_a_label_is_found_in_either_form_of_unicode(boxes: DatasetClient) -> None:
    await boxes.mutate("updateDataset", "dataset { id }", datasetId=boxes.dataset, labelNames="ANY")
    first = await annotate(boxes, edit_of(boxes, 0, add=[new("caf\u00e9")]), createMissing=True)
    [made] = first["samples"][0]["annotations"]
    again = await annotate(boxes, edit_of(boxes, 0, add=[new("cafe\u0301")], update=[]))
    assert (again["change"], made["label"]["name"]) == (None, "caf\u00e9")
    edit = edit_of(boxes, 0, update=[{"id": made["id"], "label": "cafe\u0301"}])
    assert (await annotate(boxes, edit))["change"] is None
