"""What annotateSamples refuses, with what it says; nothing is changed by any of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from db.identity.tokens import Scope
from db.labelling.samples import annotate as annotating
from db.postgres.engine import Database
from tests.db.dataset_rows import make
from tests.schema.annotation_fixture import (
    add_annotations,
    annotate,
    box,
    create_box_client,
    edit_of,
    new,
    refused,
    triangle,
)
from tests.schema.mutation_fixture import DatasetClient

SIZE = {"width": 640, "height": 480}
FAR = {"circle": {"center": {"x": 638, "y": 8}, "radius": 3}}


@pytest.mark.parametrize(
    ("shape", "details"),
    [
        (box(-0.1), SIZE),
        (box(10, 20, 640.1), SIZE),
        (box(10, 20, 30, 481), SIZE),
        (box(1e308, 0, 1.7e308), SIZE),
        (FAR, SIZE),
        ({"point": {"position": {"x": 0, "y": 480.00001}}}, SIZE),
        ({"polyline": {"points": [{"x": 1, "y": 2}, {"x": 641, "y": 4}]}}, SIZE),
        (box(30, 20, 30), {}),
        (box(10, 40, 30, 20), {}),
        ({"polygon": {"points": [{"x": 1, "y": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 1}]}}, {}),
        ({"polygon": {"points": []}}, {}),
        ({"polygon": {"points": [{"x": x / 16, "y": x % 2} for x in range(10_001)]}}, {"most": 10_000}),
        ({"circle": {"center": {"x": 9, "y": 8}, "radius": 0}}, {}),
    ],
)
async def test_a_shape_that_cannot_be_is_named_by_its_place(
    boxes: DatasetClient, shape: dict[str, Any], details: dict[str, Any]
) -> None:
    [id] = await add_annotations(boxes, 1, new("cat", box()))
    found = await refused(
        boxes, edit_of(boxes, 0, add=[new("cat")]), edit_of(boxes, 1, add=[new("cat"), new("dog", shape)])
    )
    assert found["code"] == "VALIDATION_FAILED"
    assert found["details"] == {"sample": boxes.ids(1)[0], "path": "samples.1.add.1.shape", **details}
    moved = await refused(boxes, edit_of(boxes, 1, update=[{"id": id, "shape": shape}]))
    assert moved["details"] == {"sample": boxes.ids(1)[0], "path": "samples.0.update.0.shape", **details}


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"boundingBox": None},
        box() | triangle(),
        {"boundingBox": {"xMin": 1, "yMin": 2, "xMax": 3}},
        {"boundingBox": {"xMin": "1", "yMin": 2, "xMax": 3, "yMax": 4}},
        {"boundingBox": {"xMin": float("inf"), "yMin": 2, "xMax": 3, "yMax": 4}},
        {"boundingBox": {"xMin": float("nan"), "yMin": 2, "xMax": 3, "yMax": 4}},
        {"ellipse": {}},
    ],
)
async def test_what_is_no_shape_is_wrong_input(boxes: DatasetClient, shape: dict[str, Any]) -> None:
    found = await refused(boxes, edit_of(boxes, 0, add=[new("cat", shape)]))
    assert found["code"] == "BAD_USER_INPUT"


async def test_a_shape_written_in_the_document_is_checked_as_one_in_a_variable(boxes: DatasetClient) -> None:
    def document(shape: str) -> str:
        return f"""mutation {{ annotateSamples(input: {{ datasetId: "{boxes.dataset}", samples: [{{
            sampleId: "{boxes.ids(0)[0]}", add: [{{ label: "cat", shape: {shape} }}] }}] }}) {{ changedCount }} }}"""

    point = "point: { position: { x: 1, y: 2.5 } }"
    assert (await boxes.direct.execute(document(f"{{ {point} }}")))["annotateSamples"] == {"changedCount": 1}
    for wrong in ("{}", "{ point: null }", f"{{ {point}, circle: {{ center: {{ x: 9, y: 9 }}, radius: 1 }} }}"):
        [error] = (await boxes.direct.answer(document(wrong)))["errors"]
        assert error["extensions"]["code"] in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")


async def test_annotations_of_others_are_not_found(boxes: DatasetClient) -> None:
    [mine] = await add_annotations(boxes, 0, new("cat", box()))
    [neighbours] = await add_annotations(boxes, 1, new("cat", box()))
    for id in (neighbours, "Annotation:999", "Annotation:0", "Sample:1", "x", "\ud800"):
        for edit in ({"update": [{"id": id, "label": "dog"}]}, {"remove": [mine, id]}):
            found = await refused(boxes, edit_of(boxes, 0, **edit))
            assert (found["code"], found["details"]) == ("NOT_FOUND", {"ids": [id.replace("\ud800", "\\ud800")]})
    both = edit_of(boxes, 0, remove=[mine]), edit_of(boxes, 1, remove=[mine])
    assert (await refused(boxes, *both))["details"] == {"ids": [mine]}


async def test_what_another_sample_lost_is_not_found_either(boxes: DatasetClient) -> None:
    [id] = await add_annotations(boxes, 0, new("cat", box()))
    await annotate(boxes, edit_of(boxes, 0, remove=[id]))
    assert (await refused(boxes, edit_of(boxes, 1, remove=[id])))["details"] == {"ids": [id]}
    assert (await refused(boxes, edit_of(boxes, 0, update=[{"id": id}])))["details"] == {"ids": [id]}


async def test_an_annotation_cannot_become_two_things(boxes: DatasetClient) -> None:
    [cat, dog] = await add_annotations(boxes, 0, new("cat"), new("dog"))
    twice = [{"id": cat, "label": "dog"}, {"id": cat, "label": "bird"}]
    assert (await refused(boxes, edit_of(boxes, 0, update=twice)))["details"] == {"ids": [cat]}
    both = await refused(boxes, edit_of(boxes, 0, update=[{"id": cat}]), edit_of(boxes, 0, remove=[cat]))
    assert both["details"] == {"ids": [cat]}
    birds = [{"id": cat, "label": "bird"}, {"id": dog, "label": "bird"}]
    assert (await refused(boxes, edit_of(boxes, 0, update=birds)))["details"] == {"ids": [cat, dog]}


async def test_an_image_of_unknown_size_takes_labels_but_no_shapes(database: Database, tmp_path: Path) -> None:
    boxes = await create_box_client(database, tmp_path, size=None)
    found = await refused(boxes, edit_of(boxes, 0, add=[new("cat", box())]))
    assert (found["code"], found["details"]["sample"]) == ("VALIDATION_FAILED", boxes.ids(0)[0])
    await add_annotations(boxes, 0, new("cat"))


@pytest.mark.parametrize(
    ("kind", "shape"), [("IMAGE_CLASSIFICATION", box()), ("IMAGE_SEGMENTATION", box()), ("IMAGE_SEGMENTATION", FAR)]
)
async def test_a_shape_that_the_dataset_does_not_take_is_refused(
    database: Database, tmp_path: Path, kind: str, shape: dict[str, Any]
) -> None:
    client = await create_box_client(database, tmp_path, kind=kind)
    found = await refused(client, edit_of(client, 0, add=[new("cat", shape)]))
    assert (found["code"], found["details"]["path"]) == ("VALIDATION_FAILED", "samples.0.add.0.shape")


@pytest.mark.parametrize(
    ("input_", "code", "details"),
    [
        ({"samples": []}, "EMPTY_SELECTION", {}),
        ({"samples": [{"sampleId": "Sample:1"}] * 1001}, "VALIDATION_FAILED", {"most": 1000, "given": 1001}),
        ({"samples": [{"sampleId": "x", "add": [{"label": "zebra"}, {"label": "cat"}]}]},
         "LABEL_NOT_FOUND", {"names": ["zebra"]}),
        ({"samples": [{"sampleId": "x", "add": [{"label": "a b"}]}], "createMissing": True},
         "INVALID_NAME", {"name": "a b"}),
        ({"samples": [{"sampleId": "x", "add": [{"label": "a\0"}]}]}, "LABEL_NOT_FOUND", {"names": ["a\\x00"]}),
        ({"datasetId": "Dataset:999"}, "DATASET_NOT_FOUND", {}),
        ({"datasetId": "Sample:1"}, "DATASET_NOT_FOUND", {}),
    ],
)  # fmt: skip
async def test_what_annotating_refuses(
    boxes: DatasetClient, input_: dict[str, Any], code: str, details: dict[str, Any]
) -> None:
    usual = {"datasetId": boxes.dataset, "samples": [edit_of(boxes, 0, add=[new("cat", box())])]}
    found = await boxes.refused("annotateSamples", **(usual | input_))
    assert (found["code"], found.get("details", {})) == (code, details)


async def test_samples_of_another_dataset_are_not_found_and_stay_as_they_are(boxes: DatasetClient) -> None:
    other = await make(boxes.direct.database, samples=1, name="other", input_path="/elsewhere", labels=("cat",))
    payload = await annotate(boxes, {"sampleId": f"Sample:{other.samples[0]}", "add": [new("cat")]})
    assert (payload["matchedCount"], payload["notFoundIds"], payload["change"]) == (
        0,
        [f"Sample:{other.samples[0]}"],
        None,
    )


async def test_a_sample_gets_no_more_annotations_than_it_can_show(
    boxes: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotating, "MAX_PER_SAMPLE", 3)
    ids = await add_annotations(boxes, 0, *(new("cat", box(x)) for x in range(3)))
    found = await refused(boxes, edit_of(boxes, 0, add=[new("dog")]))
    assert (found["code"], found["details"]) == ("VALIDATION_FAILED", {"most": 3, "samples": boxes.ids(0)})
    await annotate(boxes, edit_of(boxes, 0, add=[new("dog"), new("cat", box(0))], remove=ids[1:2]))


async def test_a_call_names_no_more_annotations_than_it_can_do(
    boxes: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotating, "MAX_NAMED", 3)
    edits = (
        edit_of(boxes, 0, add=[new("cat"), new("dog")]),
        edit_of(boxes, 1, remove=["Annotation:1"], update=[{"id": "x"}]),
    )
    assert (await refused(boxes, *edits[:1], edit_of(boxes, 1, add=[new("cat"), new("dog")])))["details"]["most"] == 3


async def test_a_state_that_others_changed_is_a_conflict(boxes: DatasetClient) -> None:
    edit = edit_of(boxes, 0, add=[new("cat", box())])
    first = await annotate(boxes, edit, expectedRevision=1)
    for again in (edit, edit_of(boxes, 0)):
        found = await refused(boxes, again, expectedRevision=1)
        assert found["code"] == "CONFLICT"
        assert found["details"] == {"revision": 2, "changes": [first["change"]["id"]]}
    await annotate(boxes, edit_of(boxes, 0, add=[new("dog")]), expectedRevision=2)


async def test_of_two_who_know_the_same_revision_one_learns_of_the_other(boxes: DatasetClient) -> None:
    edits = [edit_of(boxes, position, add=[new("cat", box())]) for position in range(4)]
    answers = await asyncio.gather(
        *(annotate(boxes, edit, expectedRevision=1) for edit in edits), return_exceptions=True
    )
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    await boxes.check()


async def test_a_token_to_label_is_enough_and_one_to_read_is_not(boxes: DatasetClient) -> None:
    edit = edit_of(boxes, 0, add=[new("cat", box())])
    found = await refused(boxes.with_scope(Scope.READ), edit)
    assert found["code"] == "FORBIDDEN"
    assert (await annotate(boxes.with_scope(Scope.LABEL), edit))["changedCount"] == 1
    query = "mutation ($input: AnnotateSamplesInput!) { annotateSamples(input: $input) { matchedCount } }"
    confined = boxes.confined_to(999).direct
    [error] = (await confined.answer(query, {"input": {"datasetId": boxes.dataset, "samples": [edit]}}))["errors"]
    assert error["extensions"]["code"] == "DATASET_NOT_FOUND"
