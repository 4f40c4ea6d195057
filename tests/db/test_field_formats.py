"""Formats of other tools, as they are written: the bytes where a reader is strict, and what each cannot say."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet
import pytest

from db.formats.annotations import Attributes, Author, ParsedAnnotation
from db.formats.datasets import FORMATS
from db.formats.datasets.readers import READERS
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Raster
from db.postgres.engine import Database
from tests.db.dataset_files import read
from tests.db.export_fixture import local_house
from tests.db.exported import export, image, losses
from tests.db.test_imports_back import lived_in

BOX = BoundingBox(10, 5, 30.5, 25)
TRIANGLE = Polygon((Position(0, 0), Position(10, 0), Position(0, 20.5)))
LINE = Polyline((Position(0, 0), Position(5, 5)))
CAT, DOG = (
    ParsedAnnotation("cat", BOX, attributes=Attributes(occluded=True, pose="Left")),
    ParsedAnnotation("dog", TRIANGLE),
)
GUESS = ParsedAnnotation("cat", BOX, 0.25, author=Author("m", None, confirmed=False))
ODD = tuple(
    ParsedAnnotation("cat", shape) for shape in (Circle(Position(20, 20), 5), LINE, Point(Position(1, 1)), None)
)


def test_pascal_voc_has_a_box_of_whole_numbers_around_everything() -> None:
    format_, files = export("PASCAL_VOC", [image("a/x.jpg", CAT, DOG, GUESS, *ODD, usage="TRAIN")], "cat", "dog")
    assert sorted(files) == ["Annotations/x.xml", "ImageSets/Main/train.txt", "labelmap.txt"]
    text = files["Annotations/x.xml"].decode()
    box = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>10</xmax><ymax>21</ymax></bndbox>"
    assert f"{box}\n\t\t<polygon><x1>0</x1><y1>0</y1><x2>10</x2><y2>0</y2><x3>0</x3><y3>20.5</y3></polygon>" in text
    assert text.count("<bndbox>") == text.count("<object>") == 4
    assert files["ImageSets/Main/train.txt"] == b"x\n"
    assert losses(format_) == {"SUGGESTIONS": 1, "WHOLE_IMAGE": 1, "POINTS": 1}


def test_cvat_of_the_upright_image() -> None:
    turned = image("a/x.jpg", CAT, *ODD, raster=Raster(100, 50, 6))
    format_, files = export("CVAT", [turned, image("y.png", GUESS, number=2)], "cat")
    assert files["annotations.xml"].decode().partition("  </meta>\n")[2] == (
        '  <image id="0" name="a/x.jpg" width="50" height="100">\n'
        '    <box label="cat" source="manual" occluded="1" xtl="25" ytl="10" xbr="45" ybr="30.5">\n'
        '      <attribute name="pose">Left</attribute>\n'
        "    </box>\n"
        '    <ellipse label="cat" source="manual" occluded="0" cx="30" cy="20" rx="5" ry="5"/>\n'
        '    <polyline label="cat" source="manual" occluded="0" points="50,0;45,5"/>\n'
        '    <points label="cat" source="manual" occluded="0" points="49,1"/>\n'
        '    <tag label="cat" source="manual"/>\n'
        "  </image>\n"
        '  <image id="1" name="y.png" width="100" height="50">\n'
        "  </image>\n"
        "</annotations>\n"
    )
    assert losses(format_) == {"SUGGESTIONS": 1}


def test_label_studio_has_predictions_by_model_and_the_configuration() -> None:
    format_, files = export("LABEL_STUDIO", [image("x.jpg", CAT, GUESS, *ODD), image("y.jpg", number=2)], "cat")
    first, second = json.loads(files["pets.json"])
    assert first["annotations"][0]["result"][0] == {
        "id": "1-1",
        "type": "rectanglelabels",
        "from_name": "rectangle",
        "to_name": "image",
        "original_width": 100,
        "original_height": 50,
        "image_rotation": 0,
        "value": {"x": 10, "y": 10, "width": 20.5, "height": 40, "rotation": 0, "rectanglelabels": ["cat"]},
        "meta": {"occluded": True, "pose": "Left"},
    }
    assert [prediction["model_version"] for prediction in first["predictions"]] == ["m"]
    assert first["predictions"][0]["result"][0]["score"] == 0.25
    assert second["annotations"] == second["predictions"] == []
    assert b'<RectangleLabels name="rectangle" toName="image">' in files["label_config.xml"]
    assert losses(format_) == {"POLYLINES": 1}


def test_hugging_face_rows_have_the_same_columns() -> None:
    cat = replace(CAT, author=Author("ann", datetime(2026, 11, 30, 12, tzinfo=UTC)))
    images = [image("x.jpg", cat, DOG, GUESS, *ODD, usage="EVAL"), image("y.jpg", number=2, usage="EVAL")]
    format_, files = export("HUGGING_FACE", images, "cat", "dog")
    first, second = map(json.loads, files["validation/metadata.jsonl"].splitlines())
    assert first.keys() == second.keys()
    assert first["labels"] == ["cat"]
    assert first["objects"] == {
        "bbox": [[10, 5, 20.5, 20], [0, 0, 10, 20.5], [15, 15, 10, 10]],
        "categories": ["cat", "dog", "cat"],
        "segmentation": [[], [0, 0, 10, 0, 0, 20.5], []],
        "labeled_by": ["ann", "", ""],
        "labeled_at": ["2026-11-30T12:00:00.000Z", "", ""],
    }
    assert '- split: validation\n    path: "validation/**"' in files["README.md"].decode()
    of_shapes = {"POLYLINES": 1, "POINTS": 1, "CIRCLES_AS_BOXES": 1}
    assert losses(format_) == {"SUGGESTIONS": 1, **of_shapes, "OCCLUDED": 1, "POSE": 1}


@pytest.mark.parametrize(
    ("train", "test", "nameless"),
    [
        ((CAT, DOG), (CAT,), 0),
        ((CAT, DOG, *ODD), (), 2),
        ((CAT,), (DOG,), 0),
        ((ODD[-1],), (CAT,), 2),
        ((), (), 0),
    ],
)
def test_hugging_face_columns_have_the_same_types_in_each_split(
    train: tuple[ParsedAnnotation, ...], test: tuple[ParsedAnnotation, ...], nameless: int
) -> None:
    """As `datasets` needs them, in the first lines of each split; an import passes over what has no name."""
    splits = {"train": train, "test": test}
    images = [image(f"{split}/a{number}.jpg", usage=split.upper()) for split in splits for number in range(3)]
    images += [image(f"{split}/b.jpg", *annotations, usage=split.upper()) for split, annotations in splits.items()]
    images = [replace(each, number=number) for number, each in enumerate(images, start=1)]
    format_, files = export("HUGGING_FACE", images, "cat", "dog")
    heads = [files[f"{split}/metadata.jsonl"].splitlines(keepends=True) for split in splits]
    assert [len(head) for head in heads] == [4, 4]
    schemas = [pyarrow.json.read_json(io.BytesIO(b"".join(head[:2]))).schema for head in heads]
    assert schemas[0] == schemas[1]
    assert losses(format_).get("NAMELESS", 0) == nameless
    records, problems = read(READERS["HUGGING_FACE"], files)
    assert problems == []
    circle = BoundingBox(15, 15, 25, 25)
    written = {
        f"{split}/b.jpg": [
            circle if isinstance(each.shape, Circle) else each.shape
            for each in annotations
            if not isinstance(each.shape, Polyline | Point)
        ]
        for split, annotations in splits.items()
        if annotations
    }
    assert {each.path: [one.shape for one in each.annotations] for each in records if each.annotations} == written


def test_parquet_is_the_same_file_for_the_same_images() -> None:
    images = [image(f"{number}.jpg", CAT, number=number) for number in range(1, 250)]
    [one, other] = [export("PARQUET", images, "cat", mode="INCLUDED")[1] for _ in range(2)]
    assert one == other
    assert sorted(one) == ["README.md", "train-00000.parquet"]


def test_web_dataset_keys_have_no_dots() -> None:
    label = ParsedAnnotation("dog")
    images = [image("a.b.jpg", label, usage="TRAIN"), image("c.png", number=2, usage="TEST")]
    _, files = export("WEBDATASET", images, "cat", "dog", type="IMAGE_CLASSIFICATION", mode="INCLUDED")
    assert sorted(files) == [
        *("000000001.cls", "000000001.jpg", "000000001.json", "000000002.json", "000000002.png"),
    ]
    assert files["000000001.cls"] == b"1"
    assert json.loads(files["000000001.json"])["path"] == "a.b.jpg"


def test_croissant_describes_the_csv_with_its_hash() -> None:
    _, files = export("CROISSANT", [image("x.jpg", CAT)], "cat", mode="INCLUDED")
    description = json.loads(files["croissant.json"])
    [table, images] = description["distribution"]
    assert table["sha256"] == hashlib.sha256(files["pets.csv"]).hexdigest()
    assert images["includes"] == "images/**"
    assert len(description["recordSet"][0]["field"]) == files["pets.csv"].splitlines()[0].count(b",") + 1


@pytest.mark.parametrize(
    "name", ["PASCAL_VOC", "CVAT", "LABEL_STUDIO", "HUGGING_FACE", "PARQUET", "WEBDATASET", "CROISSANT"]
)
async def test_a_job_writes_it_and_a_reader_reads_it(database: Database, tmp_path: Path, name: str) -> None:
    house = local_house(database, tmp_path)
    dataset = await lived_in(house, "cells")
    options = {"has_splits": False} if "has_splits" in FORMATS[name].options else {}
    files = await house.export(dataset, name, images="INCLUDED", **options)
    assert files == await house.export(dataset, name, images="INCLUDED", **options)
    records, problems = read(READERS["CSV" if name == "CROISSANT" else name], files)
    assert problems == []
    names = {row["path"].rpartition("/")[2] for row in await house.rows("SELECT path FROM sample")}
    assert {record.path.rpartition("/")[2] for record in records} <= names
    assert sum(len(record.annotations or ()) for record in records) > 50


def parquet(**row: Any) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("CSV", {"a.csv": "path,label,usage\n1.png,cat,{}\n"}),
        ("JSON_LINES", {"a.jsonl": '{{"path": "1.png", "label": "cat", "usage": "{}"}}'}),
        ("HUGGING_FACE", {"metadata.jsonl": '{{"file_name": "1.png", "label": "cat", "split": "{}"}}', "1.png": ""}),
        ("WEBDATASET", {"1.png": "", "1.json": '{{"label": "cat", "usage": "{}"}}'}),
        ("LABEL_STUDIO", {"a.json": '[{{"data": {{"image": "1.png", "usage": "{}"}}, "annotations": []}}]'}),
        ("CVAT", {"a.xml": '<annotations><image name="1.png" subset="{}"><tag label="cat"/></image></annotations>'}),
    ],
)
def test_a_usage_that_is_none_is_a_problem(name: str, files: dict[str, str]) -> None:
    for usage, expected in (("trian", None), ("Validation", "EVAL"), ("", None)):
        said = {path: text.format(usage) for path, text in files.items()}
        [record], problems = read(READERS[name], said, "IMAGE_CLASSIFICATION")
        assert record.usage == expected
        assert [each.is_usage for each in problems] == [True] * (usage == "trian")
        assert record.annotations is not None
    assert read(READERS["PARQUET"], {"a.parquet": parquet(path="1.png", usage="trian")}, "IMAGE_CLASSIFICATION")[1][
        0
    ].is_usage
