"""The JSON beside a model: what may be in it, and a sentence for everything else."""

import json
import re
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.vision import onnx_description
from db.vision.onnx_description import ModelInput, ModelOutput
from db.vision.onnx_file import ModelError
from tests.snippets import ROOT, snippets

SIZE = {"width": 320, "height": 240}
CLASSES = {"kind": "CLASSIFICATION", "labels": ["a", "b"], "input": SIZE}
BOXES = {"kind": "DETECTION", "labels": ["a"], "input": SIZE, "output": {"format": "YOLO"}}


def test_what_is_not_said_has_a_default() -> None:
    found = onnx_description.parse(json.dumps(CLASSES))
    assert (found.name, found.version, found.labels) == (None, None, ("a", "b"))
    assert found.input == ModelInput(width=320, height=240)
    assert (found.output.name, found.output.scores) == (None, "LOGITS")
    found = onnx_description.parse(json.dumps(BOXES))
    assert found.output == ModelOutput()


def test_everything_can_be_said() -> None:
    given = {
        "kind": "DETECTION",
        "name": "owls",
        "version": "7",
        "labels": ["猫头鹰", "b"],
        "input": SIZE
        | {"name": "x", "layout": "NHWC", "color": "BGR", "resize": "LETTERBOX", "mean": [1, 2.5, 3], "std": 58.4},
        "output": {
            "format": "BOXES",
            "boxes": "b",
            "scoresName": "s",
            "scores": "SIGMOID",
            "labels": "l",
            "firstLabel": 1,
            "corners": "YXYX",
            "units": "RELATIVE",
            "iou": None,
        },
    }
    found = onnx_description.parse(json.dumps(given))
    assert (found.name, found.version, found.labels[0]) == ("owls", "7", "猫头鹰")
    assert found.input == ModelInput(
        width=320,
        height=240,
        name="x",
        layout="NHWC",
        color="BGR",
        resize="LETTERBOX",
        mean=(1.0, 2.5, 3.0),
        std=(58.4, 58.4, 58.4),
    )
    assert found.output == ModelOutput(
        scores="SIGMOID",
        format="BOXES",
        corners="YXYX",
        units="RELATIVE",
        boxes="b",
        scores_name="s",
        labels="l",
        first_label=1,
        iou=None,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", r"it must be a JSON object, and is \[\]"),
        ("{}", "`kind` must be one of CLASSIFICATION, DETECTION, and is missing"),
        (json.dumps(CLASSES | {"kind": []}), r"`kind` must be one of .*, and is \[\]"),
        (json.dumps(CLASSES | {"more": 1}), "`more` is not known"),
        (json.dumps(CLASSES | {"x\0y": 1}), r"`x\\x00y` is not known"),
        (json.dumps(CLASSES | {"input": SIZE | {"x\ud800y": 1}}), r"`input.x\\ud800y` is not known"),
        (json.dumps(CLASSES | {"labels": []}), r"`labels` must be a list of 1 to 10,000 names, and is \[\]"),
        (json.dumps(CLASSES | {"labels": ["a", "a"]}), "`labels` must have each name once, and has 'a' 2 times"),
        (json.dumps(CLASSES | {"labels": ["a", 5]}), r"`labels\[1\]` must be a text of 1 to 100 characters, and is 5"),
        (json.dumps(CLASSES | {"name": "a\nb"}), r"`name` must be a text of 1 to 100 characters, and is 'a\\nb'"),
        (json.dumps(CLASSES | {"input": 5}), "`input` must be a JSON object, and is 5"),
        (
            json.dumps(CLASSES | {"input": {"width": 320}}),
            "`input.height` must be a whole number from 8 to 4,096, and is missing",
        ),
        (
            json.dumps(CLASSES | {"input": SIZE | {"width": True}}),
            "`input.width` must be a whole number from .* is True",
        ),
        (
            json.dumps(CLASSES | {"input": SIZE | {"width": 100_000}}),
            "`input.width` must be a whole number from .* is 100000",
        ),
        (
            json.dumps(CLASSES | {"input": SIZE | {"mean": [1, 2]}}),
            r"`input.mean` must be a number, or a list of three, and is \[1, 2\]",
        ),
        (json.dumps(CLASSES | {"input": SIZE | {"std": [1, 2, 0]}}), "`input.std` must not be 0"),
        (json.dumps(CLASSES | {"input": SIZE | {"std": 10**400}}), "`input.std` must be a number, .* and is 1000"),
        (json.dumps(CLASSES | {"input": SIZE | {"mean": -(10**400)}}), "`input.mean` must be a number, .* is -1000"),
        (json.dumps(CLASSES | {"input": SIZE | {"width": 10**400}}), "`input.width` must be a whole number .* is 1000"),
        (
            json.dumps(CLASSES | {"input": SIZE | {"std": float("nan")}}),
            "`input.std` must be a number, or a list of three, and is nan",
        ),
        (
            json.dumps(CLASSES | {"input": SIZE | {"color": "HSV"}}),
            "`input.color` must be one of RGB, BGR, and is 'HSV'",
        ),
        (json.dumps(CLASSES | {"output": {"iou": 0.5}}), "`output.iou` is not known"),
        (json.dumps(BOXES | {"output": {}}), "`output.format` must be one of BOXES, YOLO, YOLOV5"),
        (
            json.dumps(BOXES | {"output": {"format": "YOLO", "iou": 2}}),
            "`output.iou` must be a number from 0 to 1, or null, and is 2",
        ),
        (
            json.dumps(BOXES | {"output": {"format": "YOLO", "iou": 10**400}}),
            "`output.iou` must be a number from 0 to 1, or null, and is 1000",
        ),
        (
            json.dumps(BOXES | {"output": {"format": "YOLO", "scores": "LOGITS"}}),
            "`output.scores` must be PROBABILITIES or .* is 'LOGITS'",
        ),
        (
            json.dumps(BOXES | {"output": {"format": "BOXES", "boxes": "b"}}),
            "`output.scoresName` must be the name of an output, and is missing",
        ),
        (json.dumps(BOXES | {"output": {"format": "YOLO", "boxes": "b"}}), "`output.boxes` is not known"),
        (" " * 1_000_001, "longer than 1,000,000"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        onnx_description.parse(text)


KEYS = ["kind", "labels", "input", "output", "width", "height", "std", "format", "boxes", "iou", "scores"]
WORDS = st.sampled_from(["CLASSIFICATION", "DETECTION", "YOLO", "BOXES", "a"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_nothing_else_is_an_error_of_ours(more: dict[str, Any]) -> None:
    for value in (more, CLASSES | more, BOXES | more):
        with suppress(ModelError):
            onnx_description.parse(json.dumps(value))


def test_the_manual_has_examples_that_work_and_all_fields() -> None:
    manual = (ROOT / "docs" / "onnx-models.md").read_text()
    examples = snippets("docs/onnx-models.md", "json")
    assert [onnx_description.parse(example).kind for example in examples] == ["CLASSIFICATION", *["DETECTION"] * 2]
    named = set(re.findall(r"`((?:input|output)\.\w+)`", manual))
    kept = {f"input.{each.name}" for each in fields(ModelInput)} | {
        f"output.{each.name}" for each in fields(ModelOutput)
    }
    words = {"output.scores_name": "output.scoresName", "output.first_label": "output.firstLabel"}
    assert named == {words.get(each, each) for each in kept}
