"""What an export has written with its images, an import with `images: STORE` reads: each label on its image, by its
content, though names repeat across directories and stems repeat."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.db.dataset_fixture import image_bytes
from tests.db.export_fixture import ExportHouse, local_house, unpacked

FORMS = {".png": "PNG", ".jpg": "JPEG", ".jfif": "JPEG"}
ALIKE = ("a.jpg", "images/a.jpg", "images/default/a.jpg", "images/train/a.jpg", "train/a.jpg", "JPEGImages/a.jpg")
PATHS = (*ALIKE, "1.jpg", "1.png", "sub/1.jpg", "b/sub/1.jpg", "b/1.jpg", "x.jfif", "c:d.jpg")
SAYING_PATHS = ("CSV", "JSON_LINES", "CROISSANT", "LABEL_STUDIO")
OTHERS = ("COCO", "CVAT", "PASCAL_VOC", "YOLO", "HUGGING_FACE", "PARQUET", "WEBDATASET")
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
    return dataset


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
    expected = await labels(house, dataset, root / "a")
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
        if format_ in SAYING_PATHS:
            paths = [path for (path,) in await house.rows("SELECT path FROM sample WHERE dataset_id = $1", copy)]
            assert set(PATHS) == set(paths), format_


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
