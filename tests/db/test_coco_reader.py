"""The reader of COCO."""

import json
from typing import Any

import pytest

from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.readers import READERS
from db.formats.datasets.reading import ImageRecord, Problem
from db.formats.shapes import Polygon, Position
from tests.db.dataset_files import BOX, labelled, only, read


def coco(annotations: list[Any], images: Any = None, **more: Any) -> dict[str, bytes | str]:
    images = [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}] if images is None else images
    categories = [{"id": 7, "name": "traffic light"}]
    whole = {"annotations": annotations, "info": {"a": [1]}, "images": images, "categories": categories}
    return {"annotations/instances_val2017.json": json.dumps(whole | more)}


def of_coco(annotation: dict[str, Any], **options: Any) -> tuple[list[tuple[str, Any]], list[str]]:
    [record], problems = read(READERS["COCO"], coco([{"image_id": 1, "category_id": 7} | annotation]), **options)
    return labelled(record), [problem.message for problem in problems]


def test_coco_in_whatever_order() -> None:
    record = only("COCO", coco([{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    assert record == ImageRecord(
        "a.jpg",
        "annotations/instances_val2017.json#/images/0",
        (ParsedAnnotation("traffic light", BOX, 0.5),),
        (20, 10),
        "EVAL",
    )
    assert record.folder == "annotations"


def test_coco_polygons_of_several_parts_masks_and_labels_of_whole_images() -> None:
    triangle = [0, 0, 10, 0, 0, 10]
    polygon = Polygon((Position(0, 0), Position(10, 0), Position(0, 10)))
    assert of_coco({"segmentation": [triangle], "bbox": [0, 0, 10, 10]})[0] == [("traffic light", polygon)]
    assert of_coco({"segmentation": triangle})[0] == [("traffic light", polygon)]
    assert of_coco({"segmentation": [triangle], "bbox": [1, 2, 3, 4]}, boxes=True)[0] == [("traffic light", BOX)]
    assert of_coco({"segmentation": [triangle, triangle]}) == (
        [("traffic light", polygon)] * 2,
        ["An object of 2 parts became an annotation for each."],
    )
    square = Polygon((Position(0, 1), Position(2, 1), Position(2, 3), Position(0, 3)))
    # Two columns of ten pixels: one is left free, two are covered, nine are left free, …
    counts = [1, 2, 8, 2, 187]
    assert of_coco({"segmentation": {"size": [10, 20], "counts": counts}, "iscrowd": 1}) == (
        [("traffic light", square)],
        ["It marks a crowd (`iscrowd`), and is read as one object."],
    )
    assert of_coco({"keypoints": [1, 2, 2]}) == ([("traffic light", None)], ["Keypoints are not read."])
    assert of_coco({"bbox": [1, 2, 3, 4]}, kind="IMAGE_CLASSIFICATION")[0] == [("traffic light", None)]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 8}, "no category"),
        ({"category_id": None}, "`category_id` is missing"),
        ({"bbox": [1, 2, 3]}, "`bbox` must be"),
        ({"bbox": [1, 2, 3, "x"]}, "must be a number"),
        ({"bbox": [1, 2, 3, 1e300]}, "must be a number"),
        ({"bbox": [1, 2, 3, True]}, "must be a number"),
        ({"segmentation": [[1, 2, 3]]}, "A part of"),
        ({"segmentation": "abc"}, "`segmentation` must be a list"),
        ({"segmentation": {"size": [10, 20], "counts": [1, 2]}}, "run-length"),
        ({"segmentation": {"size": [10, 20], "counts": [-1, 201]}}, "run-length"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": [10**18]}}, "run-length"),
        ({"segmentation": {"size": [10, 20], "counts": "\x7f\x7f"}}, "run-length"),
        ({"segmentation": {"size": [10, 20], "counts": "o" * 100}}, "run-length"),
        ({"segmentation": {"size": [10, 20], "counts": [200]}}, "covers nothing"),
        ({"image_id": 9}, "no image"),
        ({"image_id": 10**30}, "`image_id` is too large a number"),
        ({"image_id": 2.0**53}, "`image_id` is too large a number"),
        ({"image_id": 2**64 - 1}, "no image"),
        ({"image_id": [1]}, "`image_id` is missing"),
    ],
)
def test_coco_reports_an_annotation_that_is_wrong_and_reads_the_others(annotation: Any, message: str) -> None:
    good = {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}
    [record], [problem] = read(READERS["COCO"], coco([good, good | annotation, good]))
    assert labelled(record) == [("traffic light", BOX)] * 2
    assert message in problem.message
    assert problem.location == "annotations/instances_val2017.json#/annotations/1"


def test_coco_reports_images_that_are_wrong() -> None:
    images: list[Any] = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 1, "file_name": "b.jpg"},
        {"id": 2},
        {"id": 3, "file_name": "\0.jpg"},
        None,
        5,
        {"id": 4, "file_name": "../../etc/passwd"},
    ]
    records, problems = read(READERS["COCO"], coco([], images))
    assert [record.path for record in records] == ["a.jpg", "../../etc/passwd"]
    assert sorted(problem.location.rpartition("/")[2] for problem in problems) == ["1", "2", "3", "4", "5"]


def test_numbers_that_json_rounds_stand_for_nothing() -> None:
    """Those of 2^64 and more are floats to the parser: neighbours are the same number."""
    huge = [2**64 + 1, 2**64 + 2]
    categories = [{"id": each, "name": f"c{each}"} for each in [2**63, *huge]]
    annotations = [{"image_id": 1, "category_id": each} for each in [2**63, *huge]]
    images = [{"id": each, "file_name": f"{each}.jpg"} for each in (1, *huge)]
    [record], problems = read(READERS["COCO"], coco(annotations, images, categories=categories))
    assert labelled(record) == [(f"c{2**63}", None)]
    assert [problem.location.partition("#")[2] for problem in problems] == [
        *("/images/1", "/images/2", "/categories/1", "/categories/2", "/annotations/1", "/annotations/2")
    ]
    line = json.dumps({"path": "a.jpg", "labels": huge})
    [record], problems = read(READERS["JSON_LINES"], {"a.jsonl": line})
    assert (record.annotations, len(problems)) == (None, 2)


def test_a_score_that_is_wrong_is_called_so() -> None:
    _, [problem] = of_coco({"score": 2})
    assert problem.startswith("`score` must be a number from 0 to 1")


def test_numbers_that_json_does_not_know_cost_their_annotation() -> None:
    text = '{"images":[{"id":1,"file_name":"a.jpg"}],"categories":[{"id":1,"name":"x"}],"annotations":['
    text += '{"image_id":1,"category_id":1,"bbox":[NaN,1,2,3]},{"image_id":1,"category_id":1,"bbox":[1,2,3,4]}]}'
    [record], problems = read(READERS["COCO"], {"a.json": text})
    assert labelled(record) == [("x", BOX)]
    assert problems == [
        Problem("a.json#/annotations/0", "NaN is no number of JSON, and was read as null."),
        Problem("a.json#/annotations/0", "`bbox` must be a number, and is missing."),
    ]


def test_of_the_files_of_coco_those_with_objects_are_read() -> None:
    files = coco([]) | {"annotations/captions_val2017.json": "x", "annotations/person_keypoints_val2017.json": "x"}
    assert only("COCO", files).path == "a.jpg"
