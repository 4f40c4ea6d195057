"""Readers of data sets: what each format may look like, and what they do with files that are wrong or made to hurt."""

import gzip
import io
import json
import tarfile
import tracemalloc
from random import Random
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from db.errors import Invalid
from db.formats.annotations import Author
from db.formats.datasets import FORMATS
from db.formats.datasets.readers import READERS, lines
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Raster, to_json
from tests.conftest import ROOT
from tests.db.dataset_files import BOX, in_folder, labelled, only, read, refused
from tests.db.exported import export
from tests.db.test_formats_round_trip import KINDS, LABELS, READ_AS, SHAPES, WITH_IMAGES, Dataset, tarred

# -- YOLO

YAML = "path: ../sets\ntrain: images/train\nval: [images/val, more/val]\nnames:\n  0: cat\n  1: no\n"


def of_yolo(line: str, yaml: str = YAML) -> tuple[list[tuple[str, Any]], list[str]]:
    files: dict[str, bytes | str] = {"data.yaml": yaml, "images/train/a.jpg": "", "labels/train/a.txt": line}
    [record], problems = read(READERS["YOLO"], files)
    assert record.is_relative
    return labelled(record.on(Raster(100, 50), kind="OBJECT_DETECTION")), [each.message for each in problems]


def test_yolo_boxes_polygons_and_confidences() -> None:
    box = BoundingBox(40, 20, 60, 30)
    assert of_yolo("0 0.5 0.5 0.2 0.2\n\n1 .5 0.5 2e-1 0.2 0.9\n") == ([("cat", box), ("no", box)], [])
    triangle = Polygon((Position(0, 0), Position(100, 0), Position(100, 50)))
    assert of_yolo("0 0 0 1 0 1 1\n0 0 0 1 0 1 1 0.5") == ([("cat", triangle)] * 2, [])
    assert of_yolo("0 0.5 0.5 0.2 0.2 0.1 0.1 2", f"{YAML}kpt_shape: [1, 3]\n") == ([("cat", box)], [])
    assert of_yolo("0 0.9 0.5 0.200001 0.2") == ([("cat", BoundingBox(79.99995, 20, 100, 30))], [])


@pytest.mark.parametrize(
    "line", ["7 0 0 1 1", "0 0 0 1", "0 0 0 1 1 2", "x 0 0 1 1", "0 nan 0 1 1", "0.5 0 0 1 1", "-1 0 0 1 1"]
)
def test_yolo_reports_a_line_that_is_wrong(line: str) -> None:
    found, [_] = of_yolo(f"0 0.5 0.5 0.2 0.2\n{line}")
    assert len(found) == 1


def test_yolo_usages_names_and_images_without_labels() -> None:
    files: dict[str, bytes | str] = {
        "data.yaml": YAML,
        "images/train/a.jpg": "",
        "more/val/images/b.jpg": "",
        "labels/val/c.txt": "1 0.5 0.5 1 1",
        "readme.txt": "no labels",
    }
    records, problems = read(READERS["YOLO"], files)
    assert [(each.path, each.usage, each.has_suffix) for each in records] == [
        ("images/train/a.jpg", "TRAIN", True),
        ("more/val/images/b.jpg", "EVAL", True),
        ("images/val/c", "EVAL", False),
    ]
    assert problems == []
    darknet: dict[str, bytes | str] = {
        "obj.names": "cat\n\ndog\n",
        "train.txt": "data/obj/a.jpg\n",
        "obj/a.jpg": "",
        "obj/a.txt": "2 0.5 0.5 1 1",
    }
    record = only("YOLO", darknet)
    assert (record.path, record.usage, record.annotations and record.annotations[0].label) == (
        "obj/a.jpg",
        "TRAIN",
        "dog",
    )


@pytest.mark.parametrize(
    "yaml",
    [
        "names: &names [cat]\nothers: *names",
        "names: " + "[" * 5_000,
        "names: 5",
        "names: {a: b}\n--- \nx: 1",
        "x: 1",
        "\0",
        "names: !!python/object/apply:os.system [ls]\n\t",
    ],
)
def test_yolo_without_names_is_refused(yaml: str) -> None:
    refused("YOLO", {"data.yaml": yaml, "a.txt": "0 0 0 1 1"})


# -- CSV


TWO = [("cat", None), ("dog", None)]
POINT = '"{""type"":""Point"",""position"":{""x"":1,""y"":2}}"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\na.jpg,cat\n", [("a.jpg", [("cat", None)])]),
        ("\ufeffImage Name;Class\r\na.jpg;cat\r\nb.jpg;\r\na.jpg;dog", [("a.jpg", TWO), ("b.jpg", [])]),
        ("file\tlabels\na.jpg\tcat|dog;cat\n", [("a.jpg", TWO)]),
        ("a.jpg,cat,dog\n", [("a.jpg", TWO)]),
        ("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,9,8,cat,1,2,4,6\n", [("a.jpg", [("cat", BOX)])]),
        ("name,label\na.jpg,cat\n", [("a.jpg", [("cat", None)])]),
        ("path,x,y,width,height,label\na.jpg,1,2,3,4,cat\n", [("a.jpg", [("cat", BOX)])]),
        ("a.jpg,1,2,4,6,cat\nb.jpg,,,,,\n", [("a.jpg", [("cat", BOX)]), ("b.jpg", [])]),
        (f"path,label,geometry\na.jpg,cat,{POINT}\n", [("a.jpg", [("cat", Point(Position(1, 2)))])]),
        ('path,label\n"a\n.jpg",cat\n\'=b.jpg,dog', [("a\n.jpg", [("cat", None)]), ("=b.jpg", [("dog", None)])]),
    ],
)
def test_csv_of_many_kinds(text: str, expected: Any) -> None:
    records, problems = read(READERS["CSV"], {"train/labels.csv": text})
    assert [(record.path, labelled(record)) for record in records] == expected
    assert {record.usage for record in records} == {"TRAIN"}
    assert problems == []


def test_csv_in_fractions() -> None:
    auto = only("CSV", {"a.csv": "TEST,gs://b/a.jpg,cat,0.1,0.2,,,0.3,0.4,,\n"})
    assert (auto.path, auto.usage, auto.is_relative) == ("gs://b/a.jpg", "TEST", True)
    assert labelled(auto) == [("cat", BoundingBox(0.1, 0.2, 0.3, 0.4))]
    images = only(
        "CSV", {"a.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\nab,x,/m/1,1,0.1,0.3,0.2,0.4"}
    )
    assert (images.path, images.has_suffix, images.is_relative) == ("ab", False, True)
    assert labelled(images) == [("/m/1", BoundingBox(0.1, 0.2, 0.3, 0.4))]


def test_csv_says_who_labelled() -> None:
    text = "path,label,confirmed,labeled_by,labeled_at,confidence\na.jpg,cat,false,m,,0.5\na.jpg,dog,true,,,\n"
    first, second = only("CSV", {"a.csv": text}).annotations or ()
    assert (first.author, first.confidence, second.author) == (Author("m", None, confirmed=False), 0.5, None)


def test_csv_reports_lines_and_refuses_what_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1_000_000)
    text = [
        "path,label,xmin,ymin,xmax,ymax,score",
        *("a.jpg,cat,1,2,4,x,", "a.jpg,,1,2,4,6,", "a.jpg,cat,1,2,4,6,7", ",cat,1,1,2,2,"),
    ]
    [record], problems = read(READERS["CSV"], {"a.csv": "\n".join(text)})
    assert labelled(record) == [("cat", BOX)]
    assert sorted(problem.location for problem in problems) == ["a.csv:2", "a.csv:3", "a.csv:4", "a.csv:5"]
    assert "names no column" in refused("CSV", {"a.csv": "x,y\n1,2\n"})
    assert "not text" in refused("CSV", {"a.csv": b"\0\1\2"})
    assert "A line has at most" in refused("CSV", {"a.csv": "path,label\n" + "x" * 2_500_000})
    assert "is not CSV" in refused("CSV", {"a.csv": 'path,label\n"a.jpg'})


# -- JSON Lines


def test_json_lines_of_several_kinds() -> None:
    objects = [
        {"path": "a.jpg", "annotations": [{"label": "cat", "shape": to_json(Circle(Position(1, 2), 3))}]},
        {"file_name": "b.jpg", "label": "cat", "split": "test"},
        {"image": "c.jpg", "labels": ["cat", "dog", "cat"]},
        {"file_name": "d.jpg", "objects": {"bbox": [[1, 2, 3, 4]], "categories": [3]}},
        {"file_name": "e.jpg", "annotations": [{"class": "cat", "bbox": [1, 2, 4, 6]}]},
    ]  # fmt: skip
    records, problems = read(READERS["JSON_LINES"], {"a.jsonl": "\ufeff" + "\n\n".join(map(json.dumps, objects))})
    assert [labelled(record) for record in records] == [
        [("cat", Circle(Position(1, 2), 3))],
        [("cat", None)],
        [("cat", None), ("dog", None)],
        [("3", BOX)],
        [("cat", BOX)],
    ]
    assert (records[1].usage, problems) == ("TEST", [])


def test_json_lines_reports_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1_000_000)
    good = '{"path":"a.jpg","label":"x"}'
    deep = '{"path":' + "[" * 100_000
    records, problems = read(
        READERS["JSON_LINES"], {"a.jsonl": f"{good}\n{deep}\n[1]\n" + "x" * 1_500_000 + f"\n{good}"}
    )
    assert [record.location for record in records] == ["a.jsonl:1", "a.jsonl:5"]
    assert [problem.location for problem in problems] == ["a.jsonl:2", "a.jsonl:3", "a.jsonl:4"]
    assert "line 1 is not a JSON object" in refused("JSON_LINES", {"a.jsonl": "[]\n"})


# -- Label Studio, CVAT


def test_label_studio_turned_rectangles_polygons_choices_and_predictions() -> None:
    size = {"original_width": 200, "original_height": 100}
    box = {"x": 10, "y": 10, "width": 20, "height": 30}
    results: list[Any] = [
        size | {"value": box | {"rotation": 90, "rectanglelabels": ["cat"]}},
        {"value": {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["dog"]}},
        {"value": {"choices": ["big"]}},
        {"id": "r", "value": box | {"rotation": 0}},
        {"id": "r", "value": {"labels": ["apart"]}},
    ]
    task = {
        "data": {"image": "/data/upload/3/8a7b6c5d-a%20b.jpg"},
        "annotations": [{"result": [], "was_cancelled": True}, {"completed_by": {"email": "ann"}, "result": results}],
        "predictions": [
            {"model_version": "m", "score": 0.5, "result": [{"value": box | {"rectanglelabels": ["cow"]}}]},
            {"result": [{"value": {"choices": ["big"]}}]},
        ],
    }
    record = only("LABEL_STUDIO", {"a.json": json.dumps([task])})
    assert (record.path, record.size, record.drawn) == ("a b.jpg", (200, 100), "UPRIGHT")
    turned, *others = record.annotations or ()
    assert isinstance(turned.shape, Polygon)
    assert [(round(point.x, 6), round(point.y, 6)) for point in turned.shape.points] == [
        (20, 10),
        (20, 50),
        (-10, 50),
        (-10, 10),
    ]
    assert [(each.label, each.shape) for each in others] == [
        ("dog", Polygon((Position(0, 0), Position(100, 0), Position(100, 50)))),
        ("big", None),
        ("apart", BoundingBox(20, 10, 60, 40)),
        ("cow", BoundingBox(20, 10, 60, 40)),
    ]
    assert (others[0].author, others[-1].author) == (Author("ann"), Author("m", None, confirmed=False))
    assert others[-1].confidence == 0.5


CVAT = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{}</annotations>'


def test_cvat_shapes() -> None:
    inner = """<image id="0" name="d/a.jpg" width="100" height="50" subset="Train">
      <box label="a" occluded="1" xtl="1" ytl="2" xbr="4" ybr="6"><attribute name="truncated">true</attribute></box>
      <box label="b" xtl="10" ytl="10" xbr="20" ybr="20" rotation="90.0"/>
      <polyline label="c" points="1,2;3,4"/><points label="d" points="1,2;3,4"/><tag label="e"/><tag label="e"/>
      <mask label="f" rle="0, 3, 1" left="5" top="6" width="2" height="2"/>
      <ellipse label="g" cx="9" cy="9" rx="5" ry="5"/></image>"""
    record = only("CVAT", {"annotations.xml": CVAT.format(inner)})
    assert (record.path, record.usage, record.size) == ("d/a.jpg", "TRAIN", (100, 50))
    shapes = {each.label: each.shape for each in record.annotations or ()}
    assert (shapes["a"], shapes["g"], shapes["e"]) == (BOX, Circle(Position(9, 9), 5), None)
    assert shapes["c"] == Polyline((Position(1, 2), Position(3, 4)))
    assert [each.label for each in record.annotations or ()] == ["a", "b", "c", "d", "d", "e", "f", "g"]
    assert record.annotations
    assert record.annotations[0].attributes.to_json() == {"truncated": True, "occluded": True}


def test_cvat_reports_what_it_does_not_read() -> None:
    inner = """<track id="0"/><image id="0" name="a.jpg"><cuboid label="a"/><box label="b" xtl="x"/><box xtl="1"/>
      <tag label="c"><attribute name="age">3</attribute></tag></image><image id="1"/>"""
    [record], problems = read(READERS["CVAT"], {"a.xml": CVAT.format(inner)})
    assert labelled(record) == [("c", None)]
    assert len(problems) == 6


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><annotations>&b;</annotations>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "document type definition"),
        ("<!DOCTYPE annotations><annotations/>", "document type definition"),
        ("<annotation/>", "no file of CVAT"),
        ("<annotations>", "well-formed"),
        ("<annotations>" + "<a>" * 100, "nested at most"),
        ("<annotations><image name='" + "x" * 5_000_000, "more than 4 MiB"),
        ("", "nothing in it"),
    ],
)
def test_xml_that_is_made_to_hurt_is_refused(text: str, message: str) -> None:
    assert message in refused("CVAT", {"a.xml": text})


# -- folders and tar files


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["x/train/cat/1.jpg", "x/val/dog/s/1.jpg"], [("TRAIN", "cat"), ("EVAL", "dog")]),
        (["cat/1.jpg", "cat/2.jpg"], [(None, "cat"), (None, "cat")]),
        (["train/cat/1.jpg", "train/dog/1.jpg"], [("TRAIN", "cat"), ("TRAIN", "dog")]),
        (["set/cat/1.jpg", "set/dog/2.jpg", "set/notes.md"], [(None, "cat"), (None, "dog")]),
        (["1.jpg", "cat/2.jpg"], [(None, None), (None, "cat")]),
    ],
)
def test_folders_are_labels(paths: list[str], expected: list[tuple[str | None, str | None]]) -> None:
    records, _ = read(READERS["IMAGE_FOLDER"], dict.fromkeys(paths, ""), "IMAGE_CLASSIFICATION")
    assert [(each.usage, each.annotations[0].label if each.annotations else None) for each in records] == expected


def test_web_dataset_in_tar_files_and_unpacked() -> None:
    members = {"a/0.jpg": b"JPG", "a/0.cls": b"1", "a/1.png": b"PNG", "a/1.json": b'{"label":"cat"}', "a/1.cls": b"0"}
    classes = {"classes.txt": b"x\ny\n"}
    packed, no_problems = read(READERS["WEBDATASET"], {"train-0.tar": tarred(members), **classes})
    assert [(each.path, labelled(each), each.content) for each in packed] == [
        ("a/0.jpg", [("y", None)], b"JPG"),
        ("a/1.png", [("cat", None)], b"PNG"),
    ]
    unpacked, none = read(READERS["WEBDATASET"], {**members, **classes})
    assert [(each.path, labelled(each)) for each in unpacked] == [(each.path, labelled(each)) for each in packed]
    assert no_problems == none == []


def test_the_name_of_a_shard_says_the_usage_where_json_says_none() -> None:
    members = {"0.json": b'{"usage": null}', "1.json": b"{", "2.json": b'{"usage": "TEST"}', "3.cls": b"cat"}
    tar = tarred({**members, "4.json": b'{"label": "cat"}', "5.json": b"[]"})
    records, problems = read(READERS["WEBDATASET"], {"train-0.tar": tar})
    assert [each.usage for each in records] == [None, "TRAIN", "TEST", "TRAIN", "TRAIN", "TRAIN"]
    assert len(problems) == 2


def test_tar_files_that_are_made_to_hurt() -> None:
    hostile = {"../../x.jpg": b"", "/etc/x.cls": b"a", "a.json": b"{", "b.cls": b"\xff"}
    records, problems = read(READERS["WEBDATASET"], {"a.tar": tarred(hostile)})
    assert [record.path for record in records] == ["../../x.jpg", "/etc/x", "a"]
    assert len(problems) == 2
    whole = tarred({"a.jpg": b"x" * 5_000})
    assert "not whole" in refused("WEBDATASET", {"a.tar": whole[:3_000]})
    assert "not a tar file" in refused("WEBDATASET", {"a.tar": b"x" * 5_000})
    header = tarfile.TarInfo("a.jpg")
    header.type, header.size = tarfile.XHDTYPE, 10**9
    assert "header of the tar file" in refused("WEBDATASET", {"a.tar": header.tobuf() + bytes(10_000)})


# -- of one image more than it can have, and files that lie

MANY = [f"label-{number}" for number in range(12_000)]
CHOICES = [{"data": {"image": "1.png"}, "annotations": [{"result": [{"value": {"choices": MANY}}]}]}]
OVERFULL: dict[str, dict[str, bytes | str]] = {
    "CSV": {"a.csv": f"path,labels\n1.png,{'|'.join(MANY)}\n"},
    "JSON_LINES": {"a.jsonl": json.dumps({"path": "1.png", "labels": MANY})},
    "LABEL_STUDIO": {"a.json": json.dumps(CHOICES)},
}


@pytest.mark.parametrize("name", OVERFULL)
def test_of_an_image_only_so_many_annotations_are_read(name: str) -> None:
    [record], [problem] = read(READERS[name], OVERFULL[name], "IMAGE_CLASSIFICATION")
    assert (len(record.annotations or ()), problem.message) == (10_000, "An image has at most 10,000 annotations.")


def test_labels_beyond_those_that_are_read_take_no_memory() -> None:
    line = json.dumps({"path": "a.png", "labels": ["c"] * 300_000})
    tracemalloc.start()
    try:
        read(READERS["JSON_LINES"], {"a.jsonl": line}, "IMAGE_CLASSIFICATION")
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024  # 300,000 dicts are 100 MiB
    finally:
        tracemalloc.stop()


def test_parquet_that_lies_about_its_rows_never_lacks_some_silently() -> None:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"path": [f"{number}.png" for number in range(60)]}), out)
    data = out.getvalue()
    said = 2 * 60  # as a number of Thrift
    places = [place for place in range(len(data) // 2, len(data)) if data[place] == said]
    refusals = 0
    for place in places:
        changed = data[:place] + bytes([said - 2]) + data[place + 1 :]
        try:
            records, _ = read(READERS["PARQUET"], {"a.parquet": changed}, "IMAGE_CLASSIFICATION")
            assert len(records) == 60
        except Invalid:
            refusals += 1
    assert refusals > 0


def test_a_compressed_shard_that_unpacks_to_much_more_is_refused() -> None:
    shard = gzip.compress(tarred({"1.bin": bytes(20 << 20)}))
    assert "times its size" in refused("WEBDATASET", {"a.tgz": shard})


# -- files from outside


def test_files_of_others_in_our_examples() -> None:
    cells, problems = read(READERS["PASCAL_VOC"], in_folder(ROOT / "examples" / "cells").files)
    assert (len(cells), sum(len(each.annotations or ()) for each in cells), problems) == (8, 141, [])
    digits, problems = read(READERS["IMAGE_FOLDER"], in_folder(ROOT / "examples" / "digits").files)
    assert (len(digits), problems) == (90, [])
    assert {each.path[0]: label for each in digits for label, _ in labelled(each)} == {
        str(n): str(n) for n in range(10)
    }


# -- all


@pytest.mark.parametrize("name", sorted(set(SHAPES) - set(READ_AS)))
@pytest.mark.parametrize("seed", range(12))
def test_damaged_files_are_read_or_refused(seed: int, name: str) -> None:
    """Bytes changed, cut, doubled: a reader finds problems or raises Invalid, and nothing else."""
    random = Random(f"{seed}{name}")
    kind = random.choice([each for each in KINDS if each in FORMATS[name].types][-2:])
    made = Dataset(seed, kind, name)
    _, files = export(name, made.images, *LABELS, type=kind, mode="INCLUDED" if name in WITH_IMAGES else "NONE")
    if name == "WEBDATASET":
        files = {"train.tar": tarred(files)}
    damaged = {path: damage(data, random) for path, data in files.items()}
    for raster in (Raster(100, 50), Raster(50, 100, 6)):
        try:
            records, _ = read(READERS[name], dict(damaged), kind)
        except Invalid:
            continue
        for record in records:
            record.on(raster, kind=kind, beyond=random.choice(("REFUSE", "CLAMP")))


def damage(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0:
                changed[at : at + 1] = random.randbytes(1)
            case 1:
                del changed[at : at + random.randrange(1, 50)]
            case 2:
                changed[at:at] = changed[max(0, at - 40) : at]
            case _:
                changed[at:at] = random.choice(
                    (b"\0", b"\xff", b"NaN", b"1e999", b"[" * 80, b'"', b"</", b"-", b"\\u0000")
                )
    return bytes(changed)


@pytest.mark.parametrize(
    ("form", "name", "content", "message"),
    [
        ("CSV", "b.csv", 'path,label\n"1.png,cat', "b.csv: Line 2 is not CSV: unexpected end of data."),
        ("CSV", "b.csv", "", "b.csv is empty: there is nothing in it."),
        ("COCO", "b.json", "[", "b.json: The file ends in the middle: it is not whole."),
        ("COCO", "b.json", "{}", "b.json is no COCO file: it has no `images`."),
        ("JSON_LINES", "b.jsonl", "1", "b.jsonl is no JSON Lines file: line 1 is not a JSON object."),
    ],
)
def test_of_several_files_the_one_that_is_wrong_is_named(form: str, name: str, content: str, message: str) -> None:
    good = {"CSV": "path,label\n1.png,cat\n", "COCO": '{"images": []}', "JSON_LINES": '{"path": "1.png"}'}
    assert refused(form, {f"a{name[1:]}": good[form], name: content}) == message


def test_coco_without_an_image_is_coco() -> None:
    assert read(READERS["COCO"], {"a.json": '{"images": [], "annotations": [], "categories": []}'}) == ([], [])


def test_a_csv_that_is_wrong_is_answered_in_the_words_of_its_first_line() -> None:
    header = "file,Split,XMin,ymin,xmax,ymax,class,score\n"
    text = f"{header}1.png,foo,abc,1,2,3,cat,1\n2.png,,1,1,2,3,cat,7\n3.png,val,1,1,2,3,,\n"
    records, problems = read(READERS["CSV"], {"b.csv": text})
    assert [(each.location, each.message) for each in problems] == [
        ("b.csv:2", "`XMin` must be a number, and is 'abc'."),
        ("b.csv:2", "`Split` must be train, val, test or inference, and is 'foo'; it was ignored."),
        ("b.csv:3", "`score` must be a number from 0 to 1, and is '7'; it was ignored."),
        ("b.csv:4", "A box must have a label, and this one has none."),
    ]
    assert [each.usage for each in records] == [None, None, "EVAL"]
    [record], [_] = read(READERS["CSV"], {"b.csv": "path,label,usage\n1.png,,foo\n"}, "IMAGE_CLASSIFICATION")
    assert record.annotations == (), "nothing but the usage is wrong"
