"""Formats of exports, from records alone: golden bytes, and what comes back by the plain meaning of each field."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats import shapes
from db.formats.annotations import Attributes, Author, ParsedAnnotation
from db.formats.datasets.readers import masks
from db.formats.datasets.records import AnnotatedImage
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Raster, Shape
from db.formats.sidecars import text, voc
from tests.db.exported import PIXELS, export, image, losses

NOON = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
BOX = BoundingBox(10, 5, 30.5, 25)
TRIANGLE = Polygon((Position(0, 0), Position(10, 0), Position(0, 20)))
CAT, DOG = ParsedAnnotation("cat", BOX, author=Author("ann", NOON)), ParsedAnnotation("dog", TRIANGLE)
BY_ANN = {"LABELED_BY": 1, "LABELED_AT": 1}
GUESS = ParsedAnnotation("cat", BOX, 0.25, author=Author("model", NOON, confirmed=False))


# -- CSV


def test_csv_has_a_line_for_each_annotation_and_one_for_an_image_without() -> None:
    images = [
        image("a/x.jpg", CAT, DOG, number=1, usage="EVAL"),
        image("y.png", number=2),
        image("z.jpg", GUESS, number=3, state="PENDING", is_hard=True),
    ]
    _, files = export("CSV", images, "cat", "dog")
    assert files["pets.csv"].decode() == (
        "path,label,shape,x_min,y_min,x_max,y_max,geometry,confidence,confirmed,labeled_by,labeled_at,state,usage,"
        "is_hard,width,height,orientation,size,format,file,url\r\n"
        "a/x.jpg,cat,BoundingBox,10,5,30.5,25,,,true,ann,2026-11-30T12:00:00.250Z,LABELED,EVAL,false,100,50,1,1000,"
        "JPEG,,\r\n"
        'a/x.jpg,dog,Polygon,0,0,10,20,"{""type"":""Polygon"",""points"":[{""x"":0,""y"":0},{""x"":10,""y"":0},'
        '{""x"":0,""y"":20}]}",,true,,,LABELED,EVAL,false,100,50,1,1000,JPEG,,\r\n'
        "y.png,,,,,,,,,,,,UNLABELED,,false,100,50,1,1000,PNG,,\r\n"
        "z.jpg,cat,BoundingBox,10,5,30.5,25,,0.25,false,model,2026-11-30T12:00:00.250Z,PENDING,,true,100,50,1,1000,"
        "JPEG,,\r\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1.jpg", "'=1+1.jpg"),
        ("@x.jpg", "'@x.jpg"),
        ("+x|y.jpg", "'+x|y.jpg"),
        ("-x(1).jpg", "'-x(1).jpg"),
        ("\tx.jpg", "'\tx.jpg"),
        ("'x.jpg", "''x.jpg"),
        ("-1", "-1"),
        ("-cat", "-cat"),
        ("+1.5", "+1.5"),
        ('a,"b"\n.jpg', 'a,"b"\n.jpg'),
    ],
)
def test_csv_cells_are_no_formulas(text: str, written: str) -> None:
    format_, files = export("CSV", [image(text)])
    [_, row] = csv.reader(io.StringIO(files["pets.csv"].decode(), newline=""))
    assert row[0] == written
    assert losses(format_) == ({} if text == written else {"ESCAPED": 1})


# -- JSON Lines


def test_json_lines_say_all_that_is_known() -> None:
    marked = ParsedAnnotation(
        "cat", Circle(Position(5, 6.5), 2), 0.5, Attributes(difficult=True, pose="Left"), color="#ff0000"
    )
    turned = image("a/é\n.jpg", marked, GUESS, usage="TRAIN", raster=Raster(100, 50, 6), url="http://host/i")
    format_, files = export("JSON_LINES", [turned, image("b.png", number=2)], "cat", mode="LINKS")
    [first, second] = map(json.loads, files["pets.jsonl"].decode().removesuffix("\n").split("\n"))
    assert first == {
        "path": "a/é\n.jpg",
        "imageUrl": "http://host/i",
        "width": 100,
        "height": 50,
        "orientation": 6,
        "size": 1_000,
        "format": "JPEG",
        "state": "LABELED",
        "usage": "TRAIN",
        "isHard": False,
        "annotations": [
            {
                "label": "cat",
                "isConfirmed": True,
                "color": "#ff0000",
                "shape": {"type": "Circle", "center": {"x": 5, "y": 6.5}, "radius": 2},
                "confidence": 0.5,
                "isDifficult": True,
                "pose": "Left",
            },
            {
                "label": "cat",
                "isConfirmed": False,
                "shape": shapes.to_json(BOX),
                "confidence": 0.25,
                "labeledBy": "model",
                "labeledAt": "2026-11-30T12:00:00.250Z",
            },
        ],
    }
    assert second["state"] == "UNLABELED"
    assert second["annotations"] == []
    assert not losses(format_)


# -- COCO


def test_coco_of_a_dataset_that_is_not_split() -> None:
    images = [image("a/x.jpg", CAT, DOG, GUESS, number=1), image("y.png", number=2)]
    format_, files = export("COCO", images, "cat", "dog")
    assert files["annotations/instances_default.json"].decode() == (
        '{"info":{"description":"pets","version":""},"licenses":[],"images":[\n'
        '{"id":1,"file_name":"a/x.jpg","width":100,"height":50,"state":"LABELED"},\n'
        '{"id":2,"file_name":"y.png","width":100,"height":50,"state":"UNLABELED"}\n'
        '],"annotations":[\n'
        '{"id":1,"image_id":1,"category_id":1,"bbox":[10,5,20.5,20],"area":410,"segmentation":[],"iscrowd":0,'
        '"labeled_by":"ann","labeled_at":"2026-11-30T12:00:00.250Z"},\n'
        '{"id":2,"image_id":1,"category_id":2,"bbox":[0,0,10,20],"area":100,"segmentation":[[0,0,10,0,0,20]],'
        '"iscrowd":0}\n'
        '],"categories":[{"id":1,"name":"cat","supercategory":""},{"id":2,"name":"dog","supercategory":""}]}\n'
    )
    assert losses(format_) == {"SUGGESTIONS": 1}


def test_coco_has_a_file_for_each_split_and_images_beside_them() -> None:
    images = [
        image("x.jpg", CAT, number=1, usage="TRAIN"),
        image("y.jpg", CAT, number=2, usage="EVAL"),
        image("z.jpg", CAT, number=3, usage="INFERENCE"),
        image("w.jpg", CAT, number=4),
    ]
    _, files = export("COCO", images, "cat", mode="INCLUDED")
    assert sorted(files) == [
        *("annotations/instances_train.json", "annotations/instances_val.json"),
        *("images/train/x.jpg", "images/val/y.jpg"),
    ]
    _, files = export("COCO", images, "cat", has_splits=False)
    whole = json.loads(files["annotations/instances_default.json"])
    assert [each["id"] for each in whole["images"]] == [1, 2, 3, 4]
    assert [each["id"] for each in whole["annotations"]] == [1, 2, 3, 4]


def test_coco_shapes_are_on_the_upright_image() -> None:
    _, files = export("COCO", [image("x.jpg", CAT, raster=Raster(100, 50, 6))], "cat")
    whole = json.loads(files["annotations/instances_default.json"])
    assert (whole["images"][0]["width"], whole["images"][0]["height"]) == (50, 100)
    assert whole["annotations"][0]["bbox"] == [25, 10, 20, 20.5]


def test_coco_says_what_it_cannot() -> None:
    shapes_ = (Circle(Position(20, 20), 5), Polyline((Position(0, 0), Position(5, 5))), Point(Position(1, 1)), None)
    format_, files = export("COCO", [image("x.jpg", *(ParsedAnnotation("cat", each) for each in shapes_))], "cat")
    [circle] = json.loads(files["annotations/instances_default.json"])["annotations"]
    assert circle["bbox"] == [15, 15, 10, 10]
    assert losses(format_) == {"CIRCLES_AS_BOXES": 1, "POLYLINES": 1, "POINTS": 1, "WHOLE_IMAGE": 1}


def test_coco_has_masks_when_asked_to() -> None:
    """Of the upright image, as all else; a box is no mask."""
    tiny = Polygon((Position(1, 1), Position(1.2, 1), Position(1.2, 1.2)))
    shapes_ = (DOG.shape, Circle(Position(20, 20), 5), CAT.shape, tiny)
    turned = image("x.jpg", *(ParsedAnnotation("cat", each) for each in shapes_), raster=Raster(100, 50, 6))
    format_, files = export("COCO", [turned], "cat", segmentation="RLE")
    triangle, circle, box, left = json.loads(files["annotations/instances_default.json"])["annotations"]
    assert triangle["segmentation"]["size"] == circle["segmentation"]["size"] == [100, 50]
    [outline], holes = masks.outlines(triangle["segmentation"])
    assert (shapes.extent(outline), holes) == ((31, 0, 50, 10), 0)
    assert (triangle["bbox"], triangle["area"], circle["area"]) == ([30, 0, 20, 10], 100, 80)
    assert (box["segmentation"], box["area"]) == ([], 410)
    assert isinstance(left["segmentation"], list)
    assert losses(format_) == {"MASKS": 1}
    with pytest.raises(Invalid, match="Image classification has no shapes"):
        export("COCO", [], type="IMAGE_CLASSIFICATION", segmentation="RLE")


def test_coco_of_a_classification_has_labels() -> None:
    kinds = [ParsedAnnotation("cat"), ParsedAnnotation("dog")]
    format_, files = export("COCO", [image("x.jpg", *kinds)], "cat", "dog", type="IMAGE_CLASSIFICATION")
    whole = json.loads(files["annotations/labels_default.json"])
    assert whole["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 1},
        {"id": 2, "image_id": 1, "category_id": 2},
    ]
    assert not losses(format_)


# -- YOLO

ROUND = ParsedAnnotation("dog", Circle(Position(50, 25), 5))


def test_yolo_is_what_its_readers_expect() -> None:
    images = [
        image("a/images/x.jpg", CAT, DOG, number=1, usage="TRAIN"),
        image("y.png", ROUND, number=2, usage="EVAL"),
        image("z.jpg", number=3, usage="TEST"),
    ]
    format_, files = export("YOLO", images, "cat", 'd"og', "dog", mode="INCLUDED")
    assert {path: data for path, data in files.items() if data != PIXELS} == {
        "labels/train/x.txt": b"0 0.2025 0.3 0.205 0.4\n2 0.05 0.2 0.1 0.4\n",
        "labels/val/y.txt": b"2 0.5 0.5 0.1 0.2\n",
        "data.yaml": b'train: images/train\nval: images/val\ntest: images/test\nnc: 3\nnames:\n  0: "cat"\n'
        b'  1: "d\\"og"\n  2: "dog"\n',
    }
    assert {path for path, data in files.items() if data == PIXELS} == {"images/train/x.jpg", "images/val/y.png"}
    assert losses(format_) == {"UNLABELED": 1, "POLYGONS_AS_BOXES": 1, "CIRCLES_AS_BOXES": 1} | BY_ANN


def test_yolo_segments_and_oriented_boxes() -> None:
    square = ParsedAnnotation("cat", Polygon((Position(0, 0), Position(10, 5), Position(5, 10), Position(0, 5))))
    images = [image("x.jpg", CAT, DOG, square)]
    format_, files = export("YOLO", images, "cat", "dog", yolo_task="SEGMENT")
    assert files["labels/train/x.txt"].decode().splitlines() == [
        "0 0.1 0.1 0.305 0.1 0.305 0.5 0.1 0.5",
        "1 0 0 0.1 0 0 0.4",
        "0 0 0 0.1 0.1 0.05 0.2 0 0.1",
    ]
    assert losses(format_) == {"BOXES_AS_POLYGONS": 1} | BY_ANN
    format_, files = export("YOLO", images, "cat", "dog", yolo_task="ORIENTED_BOXES")
    assert files["labels/train/x.txt"].decode().splitlines() == [
        "0 0.1 0.1 0.305 0.1 0.305 0.5 0.1 0.5",
        "1 0 0 0.1 0 0.1 0.4 0 0.4",
        "0 0 0 0.1 0.1 0.05 0.2 0 0.1",
    ]
    assert losses(format_) == {"POLYGONS_AS_BOXES": 1} | BY_ANN
    assert b"train: images/train\nval: images/train\n" in files["data.yaml"]


def test_yolo_is_of_the_upright_image_and_leaves_out_what_it_cannot_say() -> None:
    images = [
        image("x.jpg", CAT, ParsedAnnotation("cat"), raster=Raster(100, 50, 6)),
        image("y.jpg", ParsedAnnotation("cat", Point(Position(1, 1))), number=2),
        image("z.jpg", GUESS, number=3, state="PENDING"),
    ]
    format_, files = export("YOLO", images, "cat")
    assert files["labels/train/x.txt"] == b"0 0.7 0.2025 0.4 0.205\n"
    assert sorted(files) == ["data.yaml", "labels/train/x.txt"]
    left_out = {"WHOLE_IMAGE": 1, "POINTS": 1, "NOT_EXPRESSED": 1, "SUGGESTIONS": 1, "UNLABELED": 1}
    assert losses(format_) == left_out | BY_ANN


@pytest.mark.parametrize(
    ("type_", "options", "message"),
    [
        (
            "OBJECT_DETECTION",
            {"yolo_task": "CLASSIFY"},
            "`yoloTask` must be DETECT or SEGMENT or ORIENTED_BOXES, and is CLASSIFY",
        ),
        ("IMAGE_CLASSIFICATION", {"yolo_task": "DETECT"}, "`yoloTask` must be CLASSIFY, and is DETECT"),
        ("IMAGE_CLASSIFICATION", {}, "`images` must be INCLUDED"),
        ("OBJECT_DETECTION", {"several_labels": "COPY"}, "is an option of `yoloTask` CLASSIFY"),
        ("OBJECT_DETECTION", {"mode": "LINKS"}, "`images` must be INCLUDED or NONE, and is LINKS"),
    ],
)
def test_yolo_refuses_what_does_not_fit(type_: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        export("YOLO", [], type=type_, **options)


# -- folders

CLASSES: dict[str, Any] = {"type": "IMAGE_CLASSIFICATION", "mode": "INCLUDED"}
KITTEN = ParsedAnnotation("Cat")


def folder_images() -> list[AnnotatedImage]:
    return [
        image("a/x.jpg", ParsedAnnotation("cat"), number=1, usage="TRAIN"),
        image("y.jpg", ParsedAnnotation("cat"), ParsedAnnotation("dog"), number=2, usage="EVAL"),
        image("z.jpg", number=3, usage="TRAIN"),
        image("w.jpg", ParsedAnnotation("a.b/"), number=4, usage="TEST"),
        image("v.jpg", KITTEN, number=5, usage="TRAIN"),
    ]


@pytest.mark.parametrize(
    ("rule", "paths"), [(None, []), ("FIRST", ["val/cat~0/y.jpg"]), ("COPY", ["val/cat~0/y.jpg", "val/dog/y.jpg"])]
)
def test_an_image_folder_has_a_folder_for_each_label(rule: str | None, paths: list[str]) -> None:
    labels = ("cat", "dog", "a.b/", "Cat")
    for name, unsplit in (("IMAGE_FOLDER", ""), ("YOLO", "train/")):
        format_, files = export(name, folder_images(), *labels, several_labels=rule, **CLASSES)
        assert sorted(files) == sorted(["train/cat~0/x.jpg", "test/a.b_~2/w.jpg", "train/Cat~3/v.jpg", *paths])
        renamed = {"LABEL_RENAMED": 3 + bool(paths)}
        assert losses(format_) == {"SEVERAL_LABELS": 1, "WITHOUT_LABEL": 1, **renamed}
        _, files = export(name, folder_images(), *labels, several_labels=rule, has_splits=False, **CLASSES)
        assert ("UNSPLIT.md" in files) == (name == "YOLO")
        assert {f"{unsplit}Cat~3/v.jpg", f"{unsplit}a.b_~2/w.jpg"} <= files.keys()


def test_an_image_folder_is_of_images_and_classes() -> None:
    with pytest.raises(Invalid, match="IMAGE_FOLDER is not a format for object detection datasets"):
        export("IMAGE_FOLDER", [], mode="INCLUDED")
    with pytest.raises(Invalid, match="For IMAGE_FOLDER, `images` must be INCLUDED"):
        export("IMAGE_FOLDER", [], type="IMAGE_CLASSIFICATION", mode="LINKS")


def test_image_and_text_come_back_by_a_sync() -> None:
    images = [
        image("a/x.jpg", ParsedAnnotation("猫"), ParsedAnnotation("dog"), number=1),
        image("y.jpg", number=2),
        image("z.jpg", ParsedAnnotation("dog", author=Author("m", NOON, confirmed=False)), number=3, state="PENDING"),
    ]
    format_, files = export("IMAGE_TEXT", images, "猫", "dog", **CLASSES)
    assert sorted(files) == ["a/x.jpg", "a/x.txt", "y.jpg", "z.jpg"]
    assert text.parse(files["a/x.txt"]).annotations == images[0].annotations
    assert losses(format_) == {"SUGGESTIONS": 1}


# -- ModelArts manifest


def test_a_manifest_is_read_by_its_own_reader() -> None:
    marks = [ParsedAnnotation("cat", author=Author("ann", NOON), color="#ff0000", shortcut="c"), GUESS]
    plain = [replace(each, shape=None) for each in marks]
    images = [image("a/x.jpg", *plain, is_hard=True, usage="TRAIN"), image("y.jpg", number=2)]
    format_, files = export("MODELARTS_MANIFEST", images, "cat", type="IMAGE_CLASSIFICATION")
    [first, second] = map(json.loads, files["pets.manifest"].splitlines())
    assert (first["source"], first["usage"], first["hard"]) == ("/in/a/x.jpg", "TRAIN", "true")
    assert [each["annotated-by"] for each in first["annotation"]] == ["human/ann/ann", "model/model/model"]
    assert second["annotation"] == []
    assert not losses(format_)


def test_shapes_of_a_manifest_are_in_files_beside_it() -> None:
    known = replace(DOG, author=Author("ann", NOON))
    format_, files = export("MODELARTS_MANIFEST", [image("a/x.jpg", CAT, known)], "cat", "dog")
    [line] = map(json.loads, files["pets.manifest"].splitlines())
    [reference] = line["annotation"]
    assert reference["annotation-loc"] == "./annotation/x_101.xml"
    parsed = voc.parse(files["annotation/x_101.xml"])
    assert parsed.annotations is not None
    assert [(each.label, each.shape) for each in parsed.annotations] == [("cat", BOX), ("dog", TRIANGLE)]
    assert not losses(format_)


# -- whatever the shapes

LABELS = ("cat", "dog", "猫")
numbers = st.integers(0, 5_000_000).map(lambda number: number / 100_000)  # within the height of 50


@st.composite
def drawn(draw: st.DrawFn) -> Shape:
    if draw(st.booleans()):
        left, right = sorted(draw(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1])))
        top, bottom = sorted(draw(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1])))
        return BoundingBox(left, top, right, bottom)
    points = draw(st.lists(st.builds(Position, numbers, numbers), min_size=3, max_size=6, unique=True))
    return Polygon(tuple(points))


@st.composite
def records(draw: st.DrawFn) -> list[AnnotatedImage]:
    marks = st.builds(ParsedAnnotation, st.sampled_from(LABELS), drawn(), st.sampled_from([None, 0.5]))
    return [
        image(
            f"{number}.jpg",
            *draw(st.lists(marks, min_size=1, max_size=3)),
            number=number,
            usage=draw(st.sampled_from(["TRAIN", "EVAL"])),
            raster=Raster(100, 50, draw(st.integers(1, 8))),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    ]


def upright_shapes(images: list[AnnotatedImage]) -> dict[tuple[str, str], list[Shape]]:
    """By image and label, in their order."""
    found: dict[tuple[str, str], list[Shape]] = {}
    for each in images:
        for mark in each.upright.annotations:
            assert mark.shape is not None
            found.setdefault((each.path, mark.label), []).append(mark.shape)
    return found


@given(images=records())
def test_coco_means_the_shapes(images: list[AnnotatedImage]) -> None:
    _, files = export("COCO", images, *LABELS)
    found: dict[tuple[str, str], list[Shape]] = {}
    for part, data in sorted(files.items()):
        whole = json.loads(data)
        names = {each["id"]: each["file_name"] for each in whole["images"]}
        labels = {each["id"]: each["name"] for each in whole["categories"]}
        assert {each.path for each in images if part.endswith(f"_{each.split}.json")} == set(names.values())
        for each in whole["annotations"]:
            x, y, width, height = each["bbox"]
            shape: Shape = BoundingBox(x, y, round(x + width, 6), round(y + height, 6))
            if each["segmentation"]:
                [flat] = each["segmentation"]
                shape = Polygon(tuple(map(Position, flat[::2], flat[1::2])))
            found.setdefault((names[each["image_id"]], labels[each["category_id"]]), []).append(shape)
    assert found == upright_shapes(images)


@given(images=records())
def test_yolo_means_the_shapes(images: list[AnnotatedImage]) -> None:
    _, files = export("YOLO", images, *LABELS, yolo_task="SEGMENT", has_splits=False)
    found: dict[tuple[str, str], list[Shape]] = {}
    sizes = {each.path: each.upright.raster.size for each in images}
    for path in sizes:
        for line in files[f"labels/train/{path.removesuffix('.jpg')}.txt"].decode().splitlines():
            number, *fractions = line.split(" ")
            xs = [round(float(each) * sizes[path][0], 5) for each in fractions[::2]]
            ys = [round(float(each) * sizes[path][1], 5) for each in fractions[1::2]]
            found.setdefault((path, LABELS[int(number)]), []).append(Polygon(tuple(map(Position, xs, ys))))

    def polygon(shape: Shape) -> Shape:
        if isinstance(shape, BoundingBox):
            xs, ys = (shape.x_min, shape.x_max), (shape.y_min, shape.y_max)
            shape = Polygon(tuple(Position(xs[x], ys[y]) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))))
        assert isinstance(shape, Polygon)
        return Polygon(tuple(Position(round(point.x, 5), round(point.y, 5)) for point in shape.points))

    assert found == {key: [polygon(each) for each in shapes] for key, shapes in upright_shapes(images).items()}


@given(images=records())
def test_csv_and_json_lines_mean_the_stored_shapes(images: list[AnnotatedImage]) -> None:
    _, files = export("CSV", images, *LABELS)
    rows = list(csv.DictReader(io.StringIO(files["pets.csv"].decode(), newline="")))
    marks = [(each.path, mark) for each in images for mark in each.annotations]
    for row, (path, mark) in zip(rows, marks, strict=True):
        assert (row["path"], row["label"]) == (path, mark.label)
        box = BoundingBox(*(float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")))
        assert (shapes.from_json(json.loads(row["geometry"])) if row["geometry"] else box) == mark.shape
        assert float(row["confidence"] or 0) == (mark.confidence or 0)
    _, files = export("JSON_LINES", images, *LABELS)
    lines = map(json.loads, files["pets.jsonl"].splitlines())
    said = [(line["path"], each) for line in lines for each in line["annotations"]]
    assert [(path, each["label"], shapes.from_json(each["shape"])) for path, each in said] == [
        (path, mark.label, mark.shape) for path, mark in marks
    ]


# -- all


@pytest.mark.parametrize("name", ["CSV", "JSON_LINES"])
def test_an_option_of_another_format_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=f"{name} has no option `hasSplits`"):
        export(name, [], has_splits=False)
