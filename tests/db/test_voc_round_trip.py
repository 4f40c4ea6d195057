"""What VOC files say, through a sync, a version's label files, and back: into datasets that import or sync them."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.db.images import EXIF, jpeg, noise_image, oriented
from tests.db.test_imports_back import House
from tests.db.test_sidecars_voc import file, thing

SIZE = "<size><width>100</width><height>100</height><depth>3</depth></size>"
BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
WHOLE = BOX.format(1, 2, 30, 40)
SAID = [
    ("difficult", "0", "truncated", "1", "occluded", "1", "pose", "Left"),
    ("difficult", "1", "truncated", "0", "occluded", "0", "pose", "Unspecified"),
    ("difficult", "0", "truncated", "0", "occluded", "0", "pose", "Unspecified"),
]
OBJECTS = [
    thing(f"<pose>Left</pose><truncated>1</truncated><occluded>1</occluded><difficult>0</difficult>{WHOLE}", "a"),
    thing(f"<difficult>1</difficult>{WHOLE}", "b"),
    thing(BOX.format(12.5, 30.5, 88.25, 91), "c"),
]


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
    return House(database, Stores(AllowedLocations((tmp_path,))), f"{tmp_path}/")


def written(house: House) -> ElementTree.Element:
    [path] = Path(house.root).glob("out/**/annotation/*.xml")
    return ElementTree.fromstring(path.read_bytes())  # noqa: S314


def said(root: ElementTree.Element) -> list[tuple[Any, ...]]:
    names = SAID[0][::2]
    return [tuple(part for name in names for part in (name, each.findtext(name))) for each in root.iter("object")]


async def published(house: House, photo: bytes, xml: bytes) -> tuple[int, str]:
    (Path(house.root) / "a" / "p.jpg").write_bytes(photo)
    (Path(house.root) / "a" / "p.xml").write_bytes(xml)
    dataset = await house.dataset("OBJECT_DETECTION", "a")
    await house.sync(dataset)
    return dataset, await house.publish(dataset)


async def test_what_is_said_of_each_object_is_written_as_it_was(house: House) -> None:
    square = jpeg(image=noise_image(size=(100, 100)))
    dataset, manifest = await published(house, square, file(*OBJECTS, size=SIZE))
    root = written(house)
    assert said(root) == SAID
    boxes = [[int(edge.text or "") for edge in box] for box in root.iter("bndbox")]
    assert boxes == [[1, 2, 30, 40], [1, 2, 30, 40], [12, 30, 89, 91]]
    [row] = await house.rows("SELECT hard FROM sample WHERE dataset_id = $1", dataset)
    assert row["hard"]
    imported = await house.dataset("OBJECT_DETECTION", "a")
    await house.load(imported, manifest)
    synced = await house.dataset("OBJECT_DETECTION", "b")
    (Path(house.root) / "b" / "p.jpg").write_bytes(square)
    (Path(house.root) / "b" / "p.xml").write_bytes(ElementTree.tostring(root))
    await house.sync(synced)
    before = (await house.content(dataset))["annotations"]
    for other in (imported, synced):
        after = (await house.content(other))["annotations"]
        assert [(mark[1], *mark[4:]) for mark in after] == [(mark[1], *mark[4:]) for mark in before]
    assert [
        (await house.rows("SELECT hard FROM sample WHERE dataset_id = $1", one))[0][0] for one in (imported, synced)
    ]
    assert (await house.load(imported, manifest, existing="OVERWRITE"))["updated"] == 0


async def test_a_changed_word_is_a_change_of_its_object_alone(house: House) -> None:
    square = jpeg(image=noise_image(size=(100, 100)))
    dataset, _ = await published(house, square, file(*OBJECTS, size=SIZE))
    before = await house.rows("SELECT id FROM annotation ORDER BY id")
    (Path(house.root) / "a" / "p.xml").write_bytes(
        file(OBJECTS[0].replace("<truncated>1", "<truncated>0"), *OBJECTS[1:], size=SIZE)
    )
    assert (await house.sync(dataset))["updated"] == 1
    after = await house.rows("SELECT id, attributes::text FROM annotation ORDER BY id")
    assert [row["id"] for row in after][:2] == [row["id"] for row in before][1:]
    assert after[-1]["attributes"] == '{"pose": "Left", "occluded": true}'
    past = await house.rows("SELECT attributes::text FROM annotation_past")
    assert [row["attributes"] for row in past] == ['{"pose": "Left", "occluded": true, "truncated": true}']


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
async def test_shapes_of_a_turned_photo_are_written_in_stored_pixels(house: House, orientation: int) -> None:
    photo = jpeg((0xE1, EXIF + oriented(orientation)), image=noise_image(size=(64, 48)))
    width, height = (64, 48) if orientation < 5 else (48, 64)
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    dataset, manifest = await published(house, photo, file(thing(BOX.format(5.5, 30, 20, 44)), size=size))
    root = written(house)
    assert [root.findtext(f"size/{side}") for side in ("width", "height")] == ["64", "48"]
    (Path(house.root) / "b" / "p.jpg").write_bytes(photo)
    (Path(house.root) / "b" / "p.xml").write_bytes(ElementTree.tostring(root))
    imported, synced = [await house.dataset("OBJECT_DETECTION", folder) for folder in "ab"]
    loaded, job = await house.load(imported, manifest), await house.sync(synced)
    shapes = [[mark[6] for mark in (await house.content(one))["annotations"]] for one in (dataset, imported, synced)]
    assert shapes[0] == shapes[1] == shapes[2]
    content = await house.rows(
        "SELECT message FROM job_warning WHERE job_id = ANY($1::bigint[])", [loaded["id"], job["id"]]
    )
    assert ["does not say" in row["message"] for row in content] == ([True] * 2 if orientation == 3 else [])


async def test_a_label_file_that_was_drawn_upright_is_turned_by_an_import(house: House) -> None:
    root = Path(house.root)
    (root / "a" / "p.jpg").write_bytes(jpeg((0xE1, EXIF + oriented(6)), image=noise_image(size=(64, 48))))
    size = "<size><width>48</width><height>64</height></size>"
    (root / "out" / "p.xml").write_bytes(file(thing(BOX.format(5, 50, 20, 60)), size=size))
    pointing = {"type": "modelarts/object_detection", "annotation-loc": "./p.xml", "annotation-format": "PASCAL VOC"}
    line = {"source": f"{root}/a/p.jpg", "annotation": [pointing]}
    (root / "out" / "x.manifest").write_text(json.dumps(line))
    new, known = [await house.dataset("OBJECT_DETECTION", "a") for _ in range(2)]
    await house.sync(known)
    for dataset in (new, known):
        job = await house.load(dataset, f"{house.root}out/x.manifest")
        [row] = await house.rows("SELECT shape::text FROM annotation WHERE dataset_id = $1", dataset)
        assert json.loads(row["shape"]) == {"type": "BoundingBox", "xMin": 50, "yMin": 28, "xMax": 60, "yMax": 43}
        [warning] = await house.rows("SELECT message FROM job_warning WHERE job_id = $1", job["id"])
        assert "converted to pixels of the stored image" in warning["message"]


async def test_an_imported_image_that_ends_early_is_damaged(house: House) -> None:
    root, data = Path(house.root), jpeg(image=noise_image(size=(100, 100)))
    (root / "b" / "there.jpg").write_bytes(data[:-500])
    (root / "a" / "here.jpg").write_bytes(data[:-600])
    (root / "a" / "whole.jpg").write_bytes(data[:-2])
    (root / "out" / "x.manifest").write_text(
        "".join(
            json.dumps({"source": f"{root}/{path}"}) + "\n" for path in ("b/there.jpg", "a/here.jpg", "a/whole.jpg")
        )
    )
    dataset = await house.dataset("OBJECT_DETECTION", "a")
    job = await house.load(dataset, f"{house.root}out/x.manifest")
    rows = await house.rows("SELECT path, damaged FROM source WHERE dataset_id = $1 ORDER BY path", dataset)
    assert [tuple(row) for row in rows] == [("here.jpg", True), ("there.jpg", True), ("whole.jpg", False)]
    content = await house.rows(
        "SELECT path FROM job_warning WHERE job_id = $1 AND message LIKE '%is truncated%'", job["id"]
    )
    assert sorted(row["path"] for row in content) == ["x.manifest:1", "x.manifest:2"]
