"""What files of other tools say, in a dataset: matching, labels, shapes, and their formats."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from db.postgres.engine import Database
from tests.conftest import ROOT
from tests.db import dataset_fixture
from tests.db.annotation_import_fixture import (
    BEYOND,
    AnnotationImports,
    annotation_imports,
    coco,
    counted,
    everything,
    pack,
)
from tests.db.dataset_fixture import image_bytes


async def test_a_csv_of_labels_goes_in(importer: AnnotationImports) -> None:
    importer.put("a/1.png", "a/2.png", "3.png")
    await importer.dataset.sync()
    job = await importer.load(importer.write("labels.csv", "path,label\na/1.png,cat\na/2.png,dog\na/1.png,dog\n"))
    assert (job["status"], job["format"]) == ("SUCCEEDED", "CSV")
    assert counted(job) == {"scanned": 2, "updated": 2, "labeled": 2, "matched": 2}
    assert await importer.annotations() == [
        ("a/1.png", "cat", None, "import", True, None),
        ("a/1.png", "dog", None, "import", True, None),
        ("a/2.png", "dog", None, "import", True, None),
    ]
    assert await importer.new_labels(job) == {"cat": (1, 1), "dog": (2, 2)}
    assert await importer.notices(job) == {}
    again = await importer.load(importer.folder / "labels.csv")
    assert (counted(again), len(await importer.dataset.changes())) == ({"scanned": 2, "matched": 2}, 2)


async def test_coco_goes_in_with_boxes(detection: AnnotationImports) -> None:
    detection.put("1.png", "2.png")
    await detection.dataset.sync()
    file = detection.write("coco.json", coco(("1.png", [("cat", [1, 2, 30, 40])]), ("2.png", [])))
    job = await detection.load(file)
    assert (job["format"], counted(job)) == ("COCO", {"scanned": 2, "updated": 1, "labeled": 1, "matched": 2})
    box = {"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 31, "yMax": 42}
    assert await detection.annotations() == [("1.png", "cat", box, "import", True, None)]


MATCHES = {
    "1.png": ("a/1.png", "MATCHED_BY_NAME"),
    "a/1.png": ("a/1.png", None),
    "./a/../a//1.png": ("a/1.png", None),
    "a\\1.png": ("a/1.png", None),
    "x/a/1.png": ("a/1.png", "MATCHED_BY_PATH_END"),
    "/home/ann/a/1.png": ("a/1.png", "MATCHED_BY_PATH_END"),
    "C:\\data\\a\\1.png": ("a/1.png", "MATCHED_BY_PATH_END"),
    "https://example.org/x/a/1.png": ("a/1.png", "MATCHED_BY_PATH_END"),
    "2.png": (None, "IMAGE_AMBIGUOUS"),
    "c/2.png": (None, "IMAGE_AMBIGUOUS"),
    "d/2.png": ("b/d/2.png", "MATCHED_BY_PATH_END"),
    "b/e/2.png": ("b/e/2.png", None),
    "4.png": (None, "IMAGE_MISSING"),
    "a/1.jpg": (None, "IMAGE_MISSING"),
    "new.png": ("new.png", None),
    "z/new.png": (None, "IMAGE_MISSING"),
    "caf\u00e9.png": ("cafe\u0301.png", None),
}


@pytest.mark.parametrize("name", MATCHES)
async def test_images_are_matched_by_their_paths_and_then_by_their_names(
    importer: AnnotationImports, name: str
) -> None:
    importer.put("a/1.png", "b/d/2.png", "b/e/2.png", "cafe\u0301.png")
    await importer.dataset.sync()
    importer.put("new.png")
    job = await importer.load(importer.write("labels.csv", f"path,label\n{name},cat\n"))
    path, kind = MATCHES[name]
    assert [each[0] for each in await importer.annotations()] == ([] if path is None else [path])
    assert list(await importer.notices(job)) == ([] if kind is None else [kind])


async def test_two_images_of_a_name_are_not_matched_by_it(importer: AnnotationImports) -> None:
    importer.put("1.png", "a/2.png")
    await importer.dataset.sync()
    file = importer.write("labels.csv", "path,label\nx/1.png,cat\ny/1.png,dog\nz/2.png,cat\na/2.png,dog\n")
    job = await importer.load(file)
    assert [each[:2] for each in await importer.annotations()] == [("a/2.png", "dog")]
    assert {kind: count for kind, (count, _) in (await importer.notices(job)).items()} == {"IMAGE_AMBIGUOUS": 3}
    assert counted(job) == {"scanned": 4, "updated": 1, "labeled": 1, "matched": 1, "skipped": 3}


async def test_an_image_that_is_named_twice_is_as_the_first_line_says(detection: AnnotationImports) -> None:
    detection.put("1.png")
    await detection.dataset.sync()
    again = [("1.png", [("cat", [1.0, 2, 30, 40])]), ("./1.png", [("dog", [1.0, 2, 30, 40])])]
    job = await detection.load(detection.write("coco.json", coco(*again)))
    assert [each[1] for each in await detection.annotations()] == ["cat"]
    assert await detection.notices(job) == {
        "IMAGE_REPEATED": (
            1,
            ["coco.json#/images/1: `1.png` is already named by coco.json#/images/0."],
        )
    }
    assert counted(job) == {"scanned": 2, "updated": 1, "labeled": 1, "matched": 1, "skipped": 1}


async def test_files_below_the_input_path_become_samples(importer: AnnotationImports) -> None:
    importer.put("a/1.png", "a/2.png")
    (importer.folder / "images" / "a" / "bad.png").write_bytes(b"no image")
    text = "path,label\n1.png,cat\n2.png,\nbad.png,cat\n3.png,cat\n"
    job = await importer.load(importer.write("images/a/labels.csv", text))
    assert await importer.dataset.labels() == {"a/1.png": ["cat"], "a/2.png": []}
    assert counted(job) == {"scanned": 4, "added": 2, "labeled": 1, "skipped": 2, "missing": 1}
    assert list(await importer.notices(job)) == ["IMAGE_UNREADABLE", "IMAGE_MISSING"]


async def test_a_file_of_a_format_that_the_dataset_does_not_take_becomes_no_sample(
    importer: AnnotationImports,
) -> None:
    (importer.folder / "images" / "1.tif").write_bytes(image_bytes(form="TIFF"))
    source = importer.write("images/labels.csv", "path,label\n1.tif,cat\n")
    job = await importer.load(source)
    assert counted(job) == {"scanned": 1, "skipped": 1}
    await importer.dataset.set_up(image_formats=["TIFF"])
    assert counted(await importer.load(source)) == {"scanned": 1, "added": 1, "labeled": 1}


async def test_files_that_the_dataset_excludes_become_no_samples(importer: AnnotationImports) -> None:
    importer.put("kept_mask.png")
    await importer.dataset.sync()
    importer.put("a.png", "a_mask.png")
    await importer.dataset.set_up(exclude=["**/*_mask.png"])
    sources = [str(importer.folder / "images" / name) for name in ("a_mask.png", "b_mask.png")]
    manifest = "".join(json.dumps({"source": source, "annotation": []}) + "\n" for source in sources)
    for path, options, count in (
        (importer.write("labels.csv", "path,label\na.png,cat\na_mask.png,cat\nkept_mask.png,dog\n"), {}, 1),
        (importer.write("images/V1.manifest", manifest), {"format": "MODELARTS_MANIFEST"}, 2),
    ):
        job = await importer.load(path, **options)
        number, examples = (await importer.notices(job))["IMAGE_EXCLUDED"]
        assert (job["status"], job["skipped"], number) == ("SUCCEEDED", count, count)
        assert "excludes its path" in examples[0]
    assert await importer.dataset.labels() == {"a.png": ["cat"], "kept_mask.png": ["dog"]}


async def test_a_sample_that_was_deleted_here_comes_back_only_when_it_is_to(importer: AnnotationImports) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    await importer.dataset.delete_by_hand("1.png")
    file = importer.write("labels.csv", "path,label\n1.png,cat\n")
    job = await importer.load(file)
    assert (counted(job), list(await importer.notices(job))) == ({"scanned": 1, "skipped": 1}, ["SAMPLE_DELETED"])
    assert counted(await importer.load(file, restore_removed=True)) == {"scanned": 1, "added": 1, "labeled": 1}


# -- labels and shapes ------------------------------------------------------------------------------------------------


async def test_labels_are_chosen_and_get_other_names(importer: AnnotationImports) -> None:
    importer.put("1.png", "2.png", "3.png")
    await importer.dataset.sync()
    file = importer.write(
        "labels.csv", "path,label\n1.png,traffic light\n1.png,Lamp\n2.png,tree\n2.png,car\n3.png,stop sign!\n"
    )
    options: dict[str, Any] = {"mapped": {"traffic light": "light", "Lamp": "light"}, "excluded": ["tree"]}
    job = await importer.load(file, **options)
    assert await importer.dataset.labels() == {"1.png": ["light"], "2.png": ["car"], "3.png": []}
    assert await importer.notices(job) == {"LABEL_NAME": (1, [await only_example(importer, job)])}
    assert await importer.new_labels(job) == {"light": (1, 1), "car": (1, 1)}
    await importer.load(file, included=["tree"])
    assert await importer.dataset.labels() == {"1.png": ["light"], "2.png": ["tree"], "3.png": []}


async def only_example(importer: AnnotationImports, job: dict[str, Any]) -> str:
    [(_, [example])] = (await importer.notices(job)).values()
    assert example.startswith("labels.csv:6: `stop sign!` cannot be a label's name here")
    return example


@pytest.mark.parametrize("out_of_bounds", ["REFUSE", "CLAMP"])
async def test_shapes_beyond_their_image_are_counted_and_refused_or_cut(
    detection: AnnotationImports, out_of_bounds: str
) -> None:
    detection.put("1.png")
    await detection.dataset.sync()
    file = detection.write("coco.json", coco(("1.png", [*BEYOND, ("cat", [200.0, 10, 20, 20])])))
    job = await detection.load(file, out_of_bounds=out_of_bounds)
    shapes = [shape for _, _, shape, *_ in await detection.annotations()]
    boxes = [tuple(shape[name] for name in ("xMin", "yMin", "xMax", "yMax")) for shape in shapes]
    cut = [(0, 10, 20, 30)] if out_of_bounds == "CLAMP" else []
    assert boxes == [*cut, (90, 70, 100, 80), (10, 10, 30, 30)]
    assert (job["beyond"], (await detection.notices(job))["SHAPE_BEYOND_IMAGE"]) == (
        2,
        (2, ["coco.json#/images/0: `1.png`"]),
    )
    places = [path for path, _ in await detection.dataset.warnings(job["id"])]
    assert places == [f"coco.json#/annotations/{n}" for n in ((3,) if cut else (0, 3))]


async def test_boxes_do_not_fit_a_dataset_without_shapes_and_labels_do(importer: AnnotationImports) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    await importer.load(importer.write("coco.json", coco(("1.png", [("cat", [1, 2, 3, 4]), ("cat", [5, 6, 7, 8])]))))
    assert await importer.dataset.labels() == {"1.png": ["cat"]}


async def test_what_nobody_confirmed_stays_a_suggestion(importer: AnnotationImports) -> None:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    text = "path,label,confidence,confirmed,labeled_by\n1.png,cat,0.5,false,detector\n2.png,dog,0.9,true,bob\n"
    file = importer.write("labels.csv", text)
    await importer.load(file)
    assert await importer.annotations() == [
        ("1.png", "cat", None, "detector", False, 0.5),
        ("2.png", "dog", None, "bob", True, 0.9),
    ]
    assert (await importer.dataset.sample("1.png"))["state"] == "PENDING"
    await importer.load(file, confirm_suggestions=True)
    assert [each[4] for each in await importer.annotations()] == [True, True]


@pytest.mark.parametrize("existing", ["KEEP", "OVERWRITE"])
async def test_what_a_person_labelled_is_kept_and_counted_unless_it_is_to_be_overwritten(
    importer: AnnotationImports, existing: str
) -> None:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("1.png", "mine")
    file = importer.write("labels.csv", "path,label\n1.png,cat\n2.png,cat\n")
    job = await importer.load(file, existing=existing)
    overwrites = existing == "OVERWRITE"
    assert await importer.dataset.labels() == {"1.png": ["cat"] if overwrites else ["mine"], "2.png": ["cat"]}
    assert (job["kept"], list(await importer.notices(job))) == ((0, []) if overwrites else (1, ["LABELS_KEPT"]))


async def test_labels_that_are_there_stay_as_they_are_unless_the_file_says_who_put_them(
    importer: AnnotationImports,
) -> None:
    importer.put("1.png")
    importer.dataset.put("1.txt", "cat")
    await importer.dataset.sync()
    file = importer.write("labels.csv", "path,label\n1.png,cat\n")
    before = await everything(importer)
    for existing in ("KEEP", "OVERWRITE"):
        assert (await importer.load(file, existing=existing))["updated"] == 0
    assert await everything(importer) == before
    file = importer.write("labels.csv", "path,label,labeled_by\n1.png,cat,bob\n")
    assert [(await importer.load(file))["updated"] for _ in range(2)] == [1, 0]
    assert await importer.annotations() == [("1.png", "cat", None, "bob", True, None)]


async def test_of_equal_boxes_each_stays_with_the_author_that_the_file_says(detection: AnnotationImports) -> None:
    detection.put("1.png")
    await detection.dataset.sync()
    lines = "1.png,cat,1,2,30,40,bob\n", "1.png,cat,1,2,30,40,\n"
    for number, order in enumerate((lines, lines[::-1])):
        text = "path,label,x_min,y_min,x_max,y_max,labeled_by\n" + "".join(order)
        assert (await detection.load(detection.write("labels.csv", text)))["updated"] == (number == 0)
    assert [each[3] for each in await detection.annotations()] == ["bob", "import"]


async def test_images_that_lie_in_the_input_path_are_not_said_to_be_left_out(importer: AnnotationImports) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    (importer.folder / "images" / "labels.csv").write_text("path,label\n1.png,cat\n")
    for folder in (importer.folder, importer.folder / "images"):
        assert "IMAGES_NOT_STORED" not in await importer.notices(await importer.load(folder, format="CSV"))


# -- formats ----------------------------------------------------------------------------------------------------------

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"
VOC = """<annotation><size><width>100</width><height>80</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>31</xmax><ymax>42</ymax></bndbox></object></annotation>"""
FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    "COCO": ("coco.json", {"coco.json": ""}),
    "CSV": ("boxes.csv", {"boxes.csv": "filename,xmin,ymin,xmax,ymax,class\ntrain/1.png,1,2,31,42,cat\n"}),
    "JSON_LINES": (
        "x.jsonl",
        {"x.jsonl": '{"path": "train/1.png", "annotations": [{"label": "cat", "bbox": [1, 2, 31, 42]}]}'},
    ),
    "PASCAL_VOC": ("", {"Annotations/1.xml": VOC, "ImageSets/Main/train.txt": "1\n"}),
    "YOLO": ("", {"data.yaml": YAML, "labels/train/1.txt": "0 0.16 0.275 0.3 0.5\n"}),
    "MODELARTS_MANIFEST": ("x.manifest", {"x.manifest": ""}),
}
BOX = {"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 31, "yMax": 42}


@pytest.mark.parametrize("packed", [None, "zip", "tar", "tar.gz"])
@pytest.mark.parametrize("form", FORMATS)
async def test_each_format_is_found_out_and_read_as_files_and_from_archives(
    detection: AnnotationImports, form: str, packed: str | None
) -> None:
    if form == "MODELARTS_MANIFEST" and packed:
        pytest.skip("a manifest is a file")
    detection.put("train/1.png")
    await detection.dataset.sync()
    name, files = FORMATS[form]
    if form == "COCO":
        files = {name: json.dumps(coco(("train/1.png", [("cat", [1, 2, 30, 40])])))}
    if form == "MODELARTS_MANIFEST":
        points = {"@modelarts:shape": "bndbox", "@modelarts:feature": [[1, 2], [31, 42]]}
        entry = {"name": "cat", "type": "modelarts/object_detection", "property": points}
        source = f"{detection.folder}/images/train/1.png"
        files = {name: json.dumps({"source": source, "annotation": [entry]})}
    for file, text in files.items():
        detection.write(f"set/{file}", text)
    path = pack(detection.folder / "set", packed) if packed else detection.folder / "set" / name
    job = await detection.load(path)
    assert (job["status"], job["format"], job["error_message"]) == ("SUCCEEDED", form, None)
    assert [each[:3] for each in await detection.annotations()] == [("train/1.png", "cat", BOX)]
    assert await detection.dataset.warnings(job["id"]) == []


CELLS = ROOT / "examples" / "cells"


async def test_cells_as_coco_are_what_a_sync_of_their_voc_files_makes(database: Database, tmp_path: Path) -> None:
    synced, importer = await dataset_fixture.local(database, CELLS), await annotation_imports(database, tmp_path)
    images = []
    for file in sorted(CELLS.glob("*.jpg")):
        shutil.copy(file, tmp_path / "images")
        objects = ElementTree.parse(file.with_suffix(".xml")).getroot().findall("object")  # noqa: S314
        images.append((file.name, [(each.findtext("name") or "", box_of(each)) for each in objects]))
    for dataset in (synced, importer.dataset):
        await dataset.set_up(type="OBJECT_DETECTION")
        await dataset.sync()
    job = await importer.load(importer.write("cells.json", coco(*images, size=(640, 480))))
    assert (job["status"], job["matched"], job["missing"]) == ("SUCCEEDED", len(images), 0)
    expected = [repr(each[:3]) for each in await AnnotationImports(synced, tmp_path).annotations()]
    assert len(expected) > 100
    assert sorted(repr(each[:3]) for each in await importer.annotations()) == sorted(expected)


def box_of(each: ElementTree.Element) -> list[float]:
    x, y, right, bottom = (float(each.findtext(f"bndbox/{name}") or 0) for name in ("xmin", "ymin", "xmax", "ymax"))
    return [x, y, right - x, bottom - y]
