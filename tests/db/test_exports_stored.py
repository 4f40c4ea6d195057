"""What an export has written with its images, an import with `images: STORE` reads: each label on its image, by its
content, though names repeat across directories and stems repeat."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from db.exports import requests
from db.postgres.engine import Database
from tests.db.dataset_fixture import image_bytes
from tests.db.export_fixture import ExportHouse, local_house, unpacked

FORMS = {".png": "PNG", ".jpg": "JPEG", ".jfif": "JPEG"}
ALIKE = ("a.jpg", "images/a.jpg", "images/default/a.jpg", "images/train/a.jpg", "train/a.jpg", "JPEGImages/a.jpg")
PATHS = (*ALIKE, "1.jpg", "1.png", "sub/1.jpg", "b/sub/1.jpg", "b/1.jpg", "x.jfif", "c:d.jpg")
SAYING_PATHS = ("CSV", "JSON_LINES", "CROISSANT", "LABEL_STUDIO", "WEBDATASET")
OTHERS = ("COCO", "CVAT", "PASCAL_VOC", "YOLO", "HUGGING_FACE", "PARQUET")
KNOWN = """
    SELECT s.path, a.labeled_by, date_trunc('second', a.labeled_at) AS labeled_at, a.confidence
    FROM annotation a JOIN sample s ON s.id = a.sample_id WHERE a.dataset_id = $1"""
FIELDS = {"labeledBy": "labeled_by", "labeledAt": "labeled_at", "confidence": "confidence"}
LABELS = "SELECT s.path, l.name FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id"


@pytest.fixture
def house(database: Database, tmp_path: Path) -> ExportHouse:
    return local_house(database, tmp_path)


async def boxed(house: ExportHouse) -> int:
    """A dataset in which each image has a box of a label of its own, and a third of them each usage."""
    root = Path(house.root)
    for number, path in enumerate(PATHS):
        file = root / "a" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image_bytes((number * 15, 90, 200), size=(40, 30), form=FORMS[file.suffix]))
    lines = [f"{path},{number},2,30,20,L{number}" for number, path in enumerate(PATHS)]
    (root / "labels.csv").write_text("\n".join(("path,xmin,ymin,xmax,ymax,label", *lines)))
    dataset = await house.dataset("OBJECT_DETECTION", "a")
    await house.sync(dataset)
    assert (await house.load(dataset, f"{root}/labels.csv", format=None))["labeled"] == len(PATHS)
    await house.do(
        "UPDATE annotation SET labeled_by = 'ann', labeled_at = '2026-01-02T03:04:05.678Z', confidence = 0.25"
    )
    return dataset


async def known(house: ExportHouse, dataset: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Who labelled, when, and how sure, by the content of the image."""
    rows = [dict(row) for row in await house.rows(KNOWN, dataset)]
    return {hashlib.sha256((folder / row.pop("path")).read_bytes()).hexdigest(): row for row in rows}


async def labels(house: ExportHouse, dataset: int, folder: Path, *, below: str = "") -> dict[str, list[str]]:
    """By the content of the image."""
    found: dict[str, list[str]] = {}
    for path, name in await house.rows(f"{LABELS} WHERE a.dataset_id = $1 AND starts_with(path, $2)", dataset, below):
        found.setdefault(hashlib.sha256((folder / path).read_bytes()).hexdigest(), []).append(name)
    return found


@pytest.mark.parametrize("has_splits", [False, True])
async def test_each_label_comes_back_on_its_image(house: ExportHouse, has_splits: bool) -> None:
    root, dataset = Path(house.root), await boxed(house)
    if has_splits:
        await house.do("UPDATE sample SET usage = (ARRAY['TRAIN', 'EVAL', 'TEST'])[1 + id % 3]")
    expected, before = await labels(house, dataset, root / "a"), await known(house, dataset, root / "a")
    assert sorted(expected.values()) == sorted([f"L{number}"] for number in range(len(PATHS)))
    for format_ in (*SAYING_PATHS, *OTHERS):
        job = await house.request(dataset, format_, images="INCLUDED")
        await house.work(job)
        written, into = await house.files(job), root / "b" / format_
        into.mkdir()
        for name, data in written.items():
            (root / format_ / name).parent.mkdir(parents=True, exist_ok=True)
            (root / format_ / name).write_bytes(data)
        copy = await house.dataset("OBJECT_DETECTION", f"b/{format_}")
        source = root / format_ / (name if len(written) == 1 else "")
        made = await house.load(copy, str(source), format=None, images="STORE")
        assert await labels(house, copy, into) == expected, format_
        assert (made["added"], made["missing"], made["skipped"]) == (len(PATHS), 0, 0), format_
        after, warnings = await known(house, copy, into), await house.warnings(job)
        for field, column in FIELDS.items():
            is_equal = all(after[content][column] == row[column] for content, row in before.items())
            counts = [count for message, (_, count) in warnings.items() if message.startswith(f"`{field}` of annotat")]
            assert counts == ([] if is_equal else [len(PATHS)]), (format_, field)
        if format_ in (*SAYING_PATHS, "COCO", "CVAT"):
            paths = [path for (path,) in await house.rows("SELECT path FROM sample WHERE dataset_id = $1", copy)]
            assert set(PATHS if format_ in SAYING_PATHS else ALIKE) <= set(paths), format_


@pytest.mark.parametrize("is_there", [False, True])
async def test_an_export_that_is_unpacked_in_the_input_path_labels_its_own_images(
    house: ExportHouse, is_there: bool
) -> None:
    """If they are not samples, and the images are from which they were made: those."""
    root, dataset = Path(house.root), await boxed(house)
    expected = await labels(house, dataset, root / "a")
    files = await house.export(dataset, "CSV", images="INCLUDED")
    for name, data in files.items():
        file = root / "b" / "of" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    copy = await house.dataset("OBJECT_DETECTION", "b")
    if is_there:
        shutil.move(root / "b" / "of", root / "of")
        shutil.copytree(root / "a", root / "b", dirs_exist_ok=True)
        await house.sync(copy)
        shutil.move(root / "of", root / "b" / "of")
    await house.load(copy, f"{root}/b/of", format=None, images="STORE")
    assert await labels(house, copy, root / "b", below="" if is_there else "of/images/") == expected


async def test_an_image_that_is_not_where_it_is_stated_to_be_takes_none_of_another(house: ExportHouse) -> None:
    """Its path in the dataset is that of another's file in the archive."""
    root, dataset = Path(house.root), await boxed(house)
    expected = await labels(house, dataset, root / "a")
    for gone in ("images/a.jpg", "1.jpg"):
        del expected[hashlib.sha256((root / "a" / gone).read_bytes()).hexdigest()]
    files = unpacked(await house.export(dataset, "JSON_LINES", images="INCLUDED"))
    del files["images/images/a.jpg"], files["images/1~1.jpg"]
    for name, data in files.items():
        file = root / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    copy = await house.dataset("OBJECT_DETECTION", "b")
    await house.load(copy, f"{root}/in", format=None, images="STORE")
    assert await labels(house, copy, root / "b") == expected


async def test_lines_of_one_path_that_say_different_files_label_neither(house: ExportHouse) -> None:
    root = Path(house.root)
    for path in ("train/1.png", "val/1.png", "2.png", "val/2.png"):
        (root / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / path).write_bytes(image_bytes())
    lines = ("image,file,label", "1.png,train/1.png,cat", "1.png,val/1.png,dog", "2.png,val/2.png,cat")
    (root / "in" / "labels.csv").write_text("\n".join(lines))
    dataset = await house.dataset("IMAGE_CLASSIFICATION", "b")
    made = await house.load(dataset, f"{root}/in", format=None, images="STORE")
    assert (made["added"], made["missing"]) == (1, 1)
    stored = (root / "b" / "2.png").read_bytes()
    assert stored == (root / "in" / "val" / "2.png").read_bytes()


async def test_coco_itself_has_images_of_one_name_in_several_splits(house: ExportHouse) -> None:
    root = Path(house.root)
    for split, label in (("train2017", "cat"), ("val2017", "dog")):
        (root / "in" / split).mkdir(parents=True)
        (root / "in" / split / "1.png").write_bytes(image_bytes(size=(40, 30)))
        found = {
            "images": [{"id": 1, "file_name": "1.png", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
            "categories": [{"id": 1, "name": label}],
        }
        (root / "in" / "annotations").mkdir(exist_ok=True)
        (root / "in" / "annotations" / f"instances_{split}.json").write_text(json.dumps(found))
    dataset = await house.dataset("OBJECT_DETECTION", "b")
    await house.load(dataset, f"{root}/in", format=None, images="STORE")
    rows = await house.rows(f"{LABELS} WHERE a.dataset_id = $1 ORDER BY path", dataset)
    assert [tuple(row) for row in rows] == [("train2017/1.png", "cat"), ("val2017/1.png", "dog")]


CVAT = """<annotations>
  <image id="0" name="1.png" subset="train" width="40" height="30"><tag label="cat"/></image>
  <image id="1" name="1.png" subset="val" width="40" height="30"><tag label="dog"/></image>
</annotations>"""


def coco(path: str) -> str:
    found = {
        "images": [{"id": 1, "file_name": path, "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    return json.dumps(found)


@pytest.mark.parametrize(
    ("files", "images", "paths"),
    [
        ({"instances.json": coco("a/1.png")}, ["images/a/1.png"], ["a/1.png"]),
        ({"x/annotations/all.json": coco("1.png")}, ["x/images/1.png", "2.png"], ["x/1.png"]),
        ({"instances.json": coco("1.png")}, ["images/1.png", "1.png"], ["1.png"]),
        ({"instances.json": coco("images/1.png")}, ["images/1.png"], ["images/1.png"]),
        ({"annotations.xml": CVAT}, ["images/train/1.png", "images/val/1.png"], ["1.png", "images/val/1.png"]),
    ],
)
async def test_the_folder_images_is_no_part_of_paths_that_files_say(
    house: ExportHouse, files: dict[str, str], images: list[str], paths: list[str]
) -> None:
    """Where two files would get one path, the second keeps its own."""
    root = Path(house.root)
    contents = {path: image_bytes((number * 90, 1, 2), size=(40, 30)) for number, path in enumerate(images)}
    for path, content in {**contents, **{path: text.encode() for path, text in files.items()}}.items():
        (root / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / path).write_bytes(content)
    dataset = await house.dataset("OBJECT_DETECTION", "b")
    for added in (len(paths), 0):
        assert (await house.load(dataset, f"{root}/in", format=None, images="STORE"))["added"] == added
    stored = {str(file.relative_to(root / "b")): file.read_bytes() for file in (root / "b").rglob("*.png")}
    assert sorted(stored) == paths
    assert set(stored.values()) <= set(contents.values())
    assert len({*stored.values()}) == len(paths)


async def test_each_of_several_archives_says_that_its_folders_are_labels(
    house: ExportHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MIN_FILE", 1)
    root = Path(house.root)
    for number in range(3):
        (root / "a" / f"{number}.png").write_bytes(image_bytes((number, 90, 200)))
    dataset = await house.dataset("IMAGE_CLASSIFICATION", "a")
    await house.sync(dataset)
    await house.label(dataset, "train", "0.png", "1.png", "2.png")
    for format_ in ("IMAGE_FOLDER", "YOLO"):
        job = await house.request(dataset, format_, images="INCLUDED", max_file_bytes=1_000)
        await house.work(job)
        first, second, third = (await house.files(job)).values()
        for data in (first, second, third):
            (root / f"{format_}.zip").write_bytes(data)
            assert "UNSPLIT.md" in zipfile.ZipFile(root / f"{format_}.zip").namelist()
        copy = await house.dataset("IMAGE_CLASSIFICATION", f"b/{format_}")
        (root / "b" / format_).mkdir()
        await house.load(copy, f"{root}/{format_}.zip", format=None, images="STORE")
        rows = await house.rows("SELECT usage, label_ids <> '{}' AS has_label FROM sample WHERE dataset_id = $1", copy)
        assert [tuple(row) for row in rows] == [(None, True)]
