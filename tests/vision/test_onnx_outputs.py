"""What models say, in each of the forms that a description names, and whatever else they say."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from db.vision import onnx_description, onnx_outputs
from db.vision.arrays import Array
from db.vision.onnx_description import ModelDescription
from db.vision.onnx_file import ModelError
from db.vision.onnx_outputs import MAX_FOUND, suggestions

LABELS = ["cat", "dog", "owl"]


def described(kind: str = "DETECTION", **output: Any) -> ModelDescription:
    size = {"width": 200, "height": 100}
    return onnx_description.parse(json.dumps({"kind": kind, "labels": LABELS, "input": size, "output": output}))


def rounded(found: list[list[float]]) -> list[list[float]]:
    return [[round(number, 4) for number in row] for row in found]


@pytest.mark.parametrize(
    ("scores", "given", "expected"),
    [
        ("LOGITS", [0, np.log(3), 0], [[1, 0.6], [0, 0.2], [2, 0.2]]),
        ("PROBABILITIES", [0.1, 0.2, 1.5], [[2, 1.0], [1, 0.2], [0, 0.1]]),
        ("SIGMOID", [0, np.log(3), -np.inf], [[1, 0.75], [0, 0.5], [2, 0.0]]),
        ("PROBABILITIES", [-1, 0.2, -2], [[1, 0.2], [0, 0.0], [2, 0.0]]),
        ("LOGITS", [0, 0, -np.inf], [[0, 0.5], [1, 0.5], [2, 0.0]]),
    ],
)
@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 3, 1, 1)])
def test_the_labels_of_an_image(scores: str, given: list[float], expected: list[Any], shape: tuple[int, ...]) -> None:
    outputs: dict[str, Array] = {"other": np.zeros(7), "found": np.array(given, np.float32).reshape(shape)}
    description = described("CLASSIFICATION", name="found", scores=scores)
    assert rounded(suggestions(outputs, description, 0.0)) == expected
    assert rounded(suggestions(outputs, description, 0.3)) == [row for row in expected if row[1] >= 0.3]


CAT, DOG = [50, 40, 20, 20], [100, 60, 40, 10]  # their middles and sizes, of 200 × 100 pixels
BOTH = [[1, 0.9, 0.4, 0.55, 0.6, 0.65], [0, 0.8, 0.2, 0.3, 0.3, 0.5]]


@pytest.mark.parametrize(
    ("output", "outputs"),
    [
        ({"format": "YOLO"}, {"all": [[[*CAT, 0.8, 0.1, 0], [*DOG, 0.2, 0.9, 0]]]}),
        (
            {"format": "YOLO", "name": "all"},
            {"z": [0], "all": np.transpose([[*CAT, 0.8, 0.1, 0], [*DOG, 0.2, 0.9, 0]])},
        ),
        ({"format": "YOLO", "scores": "SIGMOID"}, {"all": [[[*CAT, np.log(4), -9, -9], [*DOG, -9, np.log(9), -9]]]}),
        ({"format": "YOLOV5"}, {"all": [[[*CAT, 0.8, 1, 0.1, 0], [*DOG, 0.9, 0.2, 1, 0]]]}),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s", "labels": "l"},
            {"b": [[[40, 30, 60, 50], [80, 55, 120, 65]]], "s": [[0.8, 0.9]], "l": [[0, 1]]},
        ),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s", "labels": "l", "firstLabel": 1, "corners": "XYWH"},
            {"b": [[40, 30, 20, 20], [80, 55, 40, 10]], "s": [0.8, 0.9], "l": [1.0, 2.0]},
        ),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s", "corners": "YXYX", "units": "RELATIVE"},
            {"b": [[0.3, 0.2, 0.5, 0.3], [0.55, 0.4, 0.65, 0.6]], "s": [[0.8, 0, 0], [0, 0.9, 0]]},
        ),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s", "firstLabel": 1, "scores": "LOGITS"},
            {
                "b": [[40, 30, 60, 50], [80, 55, 120, 65]],
                "s": np.log([[[0.1, 0.8, 0.05, 0.05], [0.05, 0.04, 0.9, 0.01]]]),
            },
        ),
    ],
    ids=lambda each: " ".join(map(str, each.values())) if "format" in each else "",
)
def test_boxes_in_all_forms(output: dict[str, Any], outputs: dict[str, Any]) -> None:
    given = {name: np.array(value, np.float32) for name, value in outputs.items()}
    assert rounded(suggestions(given, described(**output), 0.5)) == BOTH


def test_of_boxes_that_overlap_the_surest_is_kept_for_each_label() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [5, 0, 15, 10], [2, 0, 12, 10]]
    given = {
        "b": np.array(boxes, np.float32),
        "s": np.array([0.8, 0.9, 0.7, 0.6, 0.5], np.float32),
        "l": np.array([0, 0, 1, 0, 0]),
    }
    names = {"format": "BOXES", "boxes": "b", "scoresName": "s", "labels": "l"}

    def confidences(**output: Any) -> list[float]:
        return [round(row[1], 1) for row in suggestions(given, described(**names, **output), 0.0)]

    assert confidences(iou=0.5) == [0.9, 0.7, 0.6]
    assert confidences(iou=0.2) == [0.9, 0.7]
    assert confidences(iou=None) == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert confidences(iou=1) == [0.9, 0.8, 0.7, 0.6, 0.5]


def test_thousands_of_boxes_become_a_few_hundred() -> None:
    random = np.random.default_rng(0)
    table = np.concatenate([random.random((8_400, 2)) * 90, np.ones((8_400, 2)), random.random((8_400, 3))], axis=1)
    found = suggestions({"all": table.T[None].astype(np.float32)}, described(format="YOLO"), 0.1)
    assert len(found) == MAX_FOUND
    assert [row[1] for row in found] == sorted((row[1] for row in found), reverse=True)


@pytest.mark.parametrize(
    ("output", "outputs", "message"),
    [
        ({"kind": "CLASSIFICATION"}, {"a": np.zeros((1, 4))}, "says 4 numbers, and its description has 3"),
        ({"kind": "CLASSIFICATION", "name": "b"}, {"a": np.zeros(3)}, "no output `b`; it has `a`"),
        ({"kind": "CLASSIFICATION"}, {}, "it has none"),
        ({"kind": "CLASSIFICATION"}, {"a": np.array(["x", "y", "z"])}, "something else than lists of numbers"),
        ({"format": "YOLO"}, {"a": np.zeros((1, 8, 9))}, "says 1 × 8 × 9 numbers, and 7 for each box"),
        ({"format": "YOLO"}, {"a": np.zeros((2, 7, 9))}, "says 2 × 7 × 9"),
        ({"format": "BOXES", "boxes": "b", "scoresName": "s"}, {"b": np.zeros((5, 4))}, "no output `s`"),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s"},
            {"b": np.zeros((5, 4)), "s": np.zeros(5)},
            "not 3 for each",
        ),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s"},
            {"b": np.zeros((5, 4)), "s": np.zeros((4, 3))},
            "5 boxes, 4 scores and 4 labels",
        ),
        (
            {"format": "BOXES", "boxes": "b", "scoresName": "s"},
            {"b": np.zeros((5, 3)), "s": np.zeros((5, 3))},
            "5 boxes, 5 scores",
        ),
    ],
)
def test_outputs_that_are_not_as_described_are_refused(
    output: dict[str, Any], outputs: dict[str, Array], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        suggestions(outputs, described(**output), 0.0)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("scores", ["PROBABILITIES", "SIGMOID", "LOGITS"])
def test_what_is_no_number_suggests_nothing(scores: str, odd: float) -> None:
    with pytest.raises(ModelError, match="NaN or infinity"):
        suggestions({"a": np.array([0.2, odd, 0.9], np.float32)}, described("CLASSIFICATION", scores=scores), 0.0)
    names = {"format": "BOXES", "boxes": "b", "scoresName": "s", "scores": scores}
    given = np.array([[40, 30, 60, 50], [80, 55, 120, 65]], np.float32), np.zeros((2, 3), np.float32)
    for place in (0, 1):
        outputs = {"b": given[0].copy(), "s": given[1].copy()}
        outputs["bs"[place]][1, 2] = odd
        with pytest.raises(ModelError, match="NaN or infinity"):
            suggestions(outputs, described(**names), 0.0)


def test_a_box_that_is_not_sure_enough_may_be_anywhere() -> None:
    """Models that compute sizes by exponents overflow where they see nothing."""
    table = [[*CAT, 0.8, 0.1, 0], [0, 0, np.inf, np.nan, 0.1, 0, 0]]
    found = suggestions({"a": np.array([table], np.float32)}, described(format="YOLO"), 0.5)
    assert rounded(found) == [[0, 0.8, 0.2, 0.3, 0.3, 0.5]]


@given(st.data())
def test_whatever_a_model_says_is_refused_or_possible(data: st.DataObject) -> None:
    shapes = st.one_of(
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9),
        st.sampled_from([(1, 7, 5), (5, 7), (1, 5, 8), (5, 4), (1, 5, 4), (5,), (5, 3), (1, 3), (3,)]),
    )
    kinds = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_])
    outputs = {name: data.draw(arrays.arrays(data.draw(kinds), data.draw(shapes))) for name in "bsl"}
    output = data.draw(
        st.sampled_from(
            [
                {"kind": "CLASSIFICATION", "scores": "LOGITS"},
                {"kind": "CLASSIFICATION", "scores": "SIGMOID"},
                {"format": "YOLO"},
                {"format": "YOLOV5", "scores": "SIGMOID"},
                {"format": "BOXES", "boxes": "b", "scoresName": "s", "labels": "l"},
                {"format": "BOXES", "boxes": "b", "scoresName": "s", "scores": "LOGITS"},
            ]
        )
    )
    try:
        found = suggestions(outputs, described(**output), 0.0)
    except ModelError:
        return
    assert len(found) <= MAX_FOUND
    for label, confidence, *box in found:
        assert label in range(3)
        assert 0 <= confidence <= 1
        assert len(box) in (0, 4)


def test_pixels_become_what_the_model_wants() -> None:
    pixels = bytes(range(24))
    size = {"width": 8, "height": 8}
    pixels = bytes(range(192))

    def wanted(kind: str = "float32", **more: Any) -> Array:
        text = json.dumps({"kind": "CLASSIFICATION", "labels": ["a"], "input": size | more, "output": {}})
        return onnx_outputs.as_input(pixels, onnx_description.parse(text).input, kind)

    planes = wanted(mean=[0, 1, 2], std=3)
    assert planes.shape == (1, 3, 8, 8)
    assert planes.dtype == np.float32
    assert planes[0, :, 0, 1].tolist() == [1, 1, 1], "3, 4 and 5"
    assert wanted()[0, 0, 7, 7] == pytest.approx(189 / 255)
    rows = wanted("uint8", layout="NHWC", color="BGR", mean=5)
    assert rows.shape == (1, 8, 8, 3)
    assert rows[0, 0, 1].tolist() == [5, 4, 3], "bytes are given as they are"
    assert wanted("float16").dtype == np.float16
