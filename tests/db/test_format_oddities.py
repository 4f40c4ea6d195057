"""What files say of a label that is no author, time, flag or number is ignored with a notice, and the label kept."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import orjson
import pytest

from db.formats import json_values
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.readers import READERS
from tests.db.dataset_files import read

Said = dict[str, Any]


def coco(said: Said) -> Said:
    flags = {name: said[name] for name in ("occluded", "pose") if name in said}
    facts = {name: value for name, value in said.items() if name not in flags}
    facts |= {"score": facts.pop("confidence")} if "confidence" in facts else {}
    return {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "attributes": flags, **facts}],
    }


def json_lines(said: Said) -> Said:
    names = {"labeled_by": "labeledBy", "labeled_at": "labeledAt", "occluded": "isOccluded"}
    return {"path": "a.png", "annotations": [{"label": "cat"} | {names.get(k, k): v for k, v in said.items()}]}


def label_studio(said: Said) -> list[Said]:
    result = {"value": {"choices": ["cat"]}, "meta": said} | (
        {"score": said["confidence"]} if "confidence" in said else {}
    )
    return [{"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}]


def cvat(said: Said) -> str:
    inner = "".join(f"<attribute name='{name}'>{escape(str(value))}</attribute>" for name, value in said.items())
    return f"<annotations><image name='a.png'><tag label='cat'>{inner}</tag></image></annotations>"


JSON: dict[str, Callable[[Said], Any]] = {"COCO": coco, "JSON_LINES": json_lines, "LABEL_STUDIO": label_studio}
OF_JSON = pytest.mark.parametrize("name", JSON)
EVERY = pytest.mark.parametrize("name", [*JSON, "CVAT", "CSV"])


def only(name: str, said: Said) -> tuple[ParsedAnnotation, list[str]]:
    if name == "CVAT":
        files: dict[str, bytes | str] = {"a.xml": cvat(said)}
    elif name == "CSV":
        files = {"a.csv": f"path,label,{','.join(said)}\na.png,cat,{','.join(map(str, said.values()))}\n"}
    else:
        suffix = ".jsonl" if name == "JSON_LINES" else ".json"
        files = {f"a{suffix}": json.dumps(JSON[name](said)).replace('"1e400"', "1e400")}
    [record], problems = read(READERS[name], files, "IMAGE_CLASSIFICATION")
    [annotation] = record.annotations or ()
    return annotation, [each.message for each in problems]


@EVERY
@pytest.mark.parametrize("said", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "tomorrow"])
def test_a_time_that_none_can_be(name: str, said: str) -> None:
    annotation, [notice] = only(name, {"labeled_by": "ann", "labeled_at": said})
    assert (annotation.label, annotation.author and annotation.author.at) == ("cat", None)
    assert notice.startswith("`labeled_at` must be a time")


@EVERY
def test_a_time_without_a_zone_is_utc(name: str) -> None:
    annotation, notices = only(name, {"labeled_at": "2026-11-29T09:00:00"})
    assert annotation.author is not None
    assert (annotation.author.at, notices) == (datetime(2026, 11, 29, 9, tzinfo=UTC), [])


@OF_JSON
@pytest.mark.parametrize("by", [["ann"], {"name": "ann"}, True, " ", "x" * 5_000, "a\0", "a\nb", "\u202enna"])
def test_an_author_that_none_can_be(name: str, by: Any) -> None:
    annotation, [notice] = only(name, {"labeled_by": by})
    assert (annotation.label, annotation.author) == ("cat", None)
    assert notice.startswith("`labeled_by`")
    assert notice.endswith("; it was ignored.")


@pytest.mark.parametrize("name", [*JSON, "CVAT"])
def test_flags_as_texts(name: str) -> None:
    annotation, notices = only(name, {"occluded": "true", "pose": "Left"})
    assert (annotation.attributes.occluded, annotation.attributes.pose, notices) == (True, "Left", [])
    annotation, notices = only(name, {"occluded": "False"})
    assert (annotation.attributes.occluded, "occluded" in annotation.attributes.said, notices) == (False, True, [])


@OF_JSON
@pytest.mark.parametrize(("field", "value"), [("occluded", "perhaps"), ("occluded", [1]), ("pose", 7), ("pose", {})])
def test_attributes_that_are_none_are_not_said(name: str, field: str, value: Any) -> None:
    annotation, [notice] = only(name, {field: value})
    assert (annotation.label, annotation.attributes.said) == ("cat", frozenset())
    assert notice.endswith("; it was ignored.")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"labels": ["cat", "dog"]}, {"cat": 0.9, "dog": 0.1}),
        ({"label": "", "labels": ["cat", "dog"]}, {"cat": 0.9, "dog": 0.1}),
        ({"label": "cat", "labels": ["cat", "dog"]}, {"cat": 0.9, "dog": 0.1}),
        ({"label": "cow", "labels": ["cat", "dog"]}, {"cow": None, "cat": 0.9, "dog": 0.1}),
        ({"label": "cow", "labels": ["cat"]}, {"cow": 0.9, "cat": 0.1}),
        ({"labels": ["cat", "dog", "cow"]}, {"cat": 0.9, "dog": 0.1, "cow": None}),
    ],
)
def test_lists_beside_labels_of_json_lines(said: Said, expected: dict[str, float | None]) -> None:
    line = {"path": "a.png", "confidence": [0.9, 0.1]} | said
    [record], problems = read(READERS["JSON_LINES"], {"a.jsonl": json.dumps(line)}, "IMAGE_CLASSIFICATION")
    assert {each.label: each.confidence for each in record.annotations or ()} == expected
    assert problems == []


@OF_JSON
@pytest.mark.parametrize(("value", "shown"), [(float("nan"), "NaN"), (float("-inf"), "-Infinity"), ("1e400", "1e400")])
def test_what_is_no_number_of_json_is_null(name: str, value: Any, shown: str) -> None:
    annotation, notices = only(name, {"confidence": value, "area": value})
    assert (annotation.label, annotation.confidence) == ("cat", None)
    assert notices == [f"{shown} is no number of JSON, and was read as null."]


def test_texts_stay_as_they_are_where_something_is_no_number() -> None:
    noted = list[str]()
    text = rb'{"NaN": ["\"NaN", -Infinity, 1e400, 1.5e3, "1e400\\"]}'
    assert json_values.loads(text, noted.append) == {"NaN": ['"NaN', None, None, 1500, "1e400\\"]}
    assert noted == ["-Infinity is no number of JSON, and was read as null."]
    for broken in (b"[NaN", b"[NaNs]", b"[1.2.3]", b"[-]", b""):
        with pytest.raises(orjson.JSONDecodeError):
            json_values.loads(broken, noted.append)
