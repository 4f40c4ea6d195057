"""Detection and segmentation: label files as the reference's manifests point to them, and shapes in the line itself."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import image_bytes
from tests.db.import_fixture import ImportFixture, counted

VOC = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<annotation>
    <folder>NA</folder>
    <filename>bike_1_1593531469339.png</filename>
    <source><database>Unknown</database></source>
    <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
    <segmented>0</segmented>
    {objects}
</annotation>
"""
OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><occluded>0</occluded>
    <difficult>{difficult}</difficult>{more}{shape}</object>"""
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>6</xmax><ymax>5</ymax></bndbox>"
TOO_LARGE = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
RING = "<polygon><x1>1</x1><y1>1</y1><x2>5</x2><y2>1</y2><x3>3</x3><y3>4</y3><x4>1</x4><y4>1</y4></polygon>"


def thing(name: str, shape: str = BOX, *, difficult: int = 0, more: str = "") -> str:
    return OBJECT.format(name=name, shape=shape, difficult=difficult, more=more)


def file(*objects: str, size: tuple[int, int] = (8, 6)) -> str:
    return VOC.format(width=size[0], height=size[1], objects="".join(objects))


def pointing(location: str | Path, kind: str = "object_detection", **more: Any) -> dict[str, Any]:
    return {
        "type": f"modelarts/{kind}",
        "annotation-loc": str(location),
        "annotation-format": "PASCAL VOC",
        "annotated-by": "human/ann/ann",
        "creation-time": "2019-02-12 17:54:44",
    } | more


async def opened(database: Database, tmp_path: Path, kind: str) -> ImportFixture:
    (tmp_path / "images").mkdir()
    (tmp_path / "xml").mkdir()
    importer = await dataset_fixture.local(database, tmp_path / "images")
    await importer.do("UPDATE dataset SET type = $1", kind)
    return ImportFixture(importer, tmp_path)


@pytest.fixture
async def street(database: Database, tmp_path: Path) -> ImportFixture:
    return await opened(database, tmp_path, "OBJECT_DETECTION")


def shapes(annotations: Iterable[tuple[Any, ...]]) -> list[tuple[str, str]]:
    return [(mark[1], json.loads(mark[7])["type"]) for mark in annotations]


async def test_label_files_are_read_where_the_line_says(street: ImportFixture) -> None:
    street.put("1.png")
    xml = street.folder / "xml" / "1.xml"
    xml.write_text(file(thing("bike", more="<confidence>0.25</confidence>"), thing("向日葵", RING)))
    job = await street.load(street.manifest({"source": "1.png", "annotation": [pointing(xml)]}))
    assert await street.warnings(job) == []
    bike, flower = await street.annotations()
    assert bike[:7] == ("1.png", "bike", "ann", "2019-02-12 17:54:44", "IMPORT", 0.25, True)
    assert json.loads(bike[7]) == {"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 6, "yMax": 5}
    assert len(json.loads(flower[7])["points"]) == 3
    again = await street.load(street.folder / "V001.manifest", existing="OVERWRITE")
    assert counted(again)["updated"] == 0


PLACES = ("./xml/1.xml", "obs://old/out/annotation/V001/xml/1.xml", "s3://old/elsewhere/1.xml", "/nowhere/xml/1.xml")


@pytest.mark.parametrize("location", PLACES)
@pytest.mark.parametrize("key", ["annotation-loc", "annotation_loc"])
async def test_label_files_that_were_moved_with_the_manifest_are_found_beside_it(
    street: ImportFixture, location: str, key: str
) -> None:
    street.put("1.png")
    (street.folder / ("1.xml" if "elsewhere" in location else "xml/1.xml")).write_text(file(thing("bike")))
    line = {name: value for name, value in pointing(location).items() if name != "annotation-loc"} | {key: location}
    job = await street.load(street.manifest({"source": "1.png", "annotation": [line]}))
    assert await street.warnings(job) == []
    assert shapes(await street.annotations()) == [("bike", "BoundingBox")]


async def test_what_is_wrong_with_label_files_is_reported_with_the_lines_that_point_to_them(
    street: ImportFixture,
) -> None:
    street.put("1.png", "2.png", "3.png")
    (street.folder / "xml" / "1.xml").write_text(file(thing("bike"), thing("bus", TOO_LARGE), thing("no name!")))
    (street.folder / "xml" / "2.xml").write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>")
    job = await street.load(
        street.manifest(*({"source": f"{n}.png", "annotation": [pointing(f"./xml/{n}.xml")]} for n in (1, 2, 3)))
    )
    assert counted(job) == {"scanned": 3, "added": 3, "updated": 0, "labeled": 1, "skipped": 0}
    assert await street.dataset.labels() == {"1.png": ["bike"], "2.png": [], "3.png": []}
    messages = await street.warnings(job)
    assert sorted({path for path, _ in messages}) == ["V001.manifest:1", "V001.manifest:2", "V001.manifest:3"]
    assert all("1.xml:" in message for path, message in messages if path.endswith(":1"))


async def test_a_label_file_that_cannot_be_used_takes_no_labels_away(street: ImportFixture) -> None:
    street.put("1.png")
    xml = street.folder / "xml" / "1.xml"
    xml.write_text(file(thing("bike")))
    manifest = street.manifest({"source": "1.png", "annotation": [pointing(xml)]})
    await street.load(manifest)
    xml.write_text("broken")
    job = await street.load(manifest, existing="OVERWRITE")
    assert (counted(job)["updated"], await street.dataset.labels()) == (0, {"1.png": ["bike"]})


@pytest.mark.parametrize(("difficult", "line", "hard"), [(1, {}, True), (0, {}, False), (1, {"hard": "false"}, False)])
async def test_a_difficult_object_makes_a_hard_example_unless_the_line_says_otherwise(
    street: ImportFixture, difficult: int, line: dict[str, Any], hard: bool
) -> None:
    street.put("1.png")
    (street.folder / "xml" / "1.xml").write_text(file(thing("bike"), thing("bus", difficult=difficult)))
    await street.load(street.manifest({"source": "1.png", "annotation": [pointing("./xml/1.xml")]} | line))
    assert (await street.dataset.sample("1.png"))["hard"] is hard


async def test_labels_of_machines_in_files_are_suggestions(street: ImportFixture) -> None:
    street.put("1.png")
    (street.folder / "xml" / "1.xml").write_text(file(thing("bike"), thing("bus")))
    machine: dict[str, Any] = {"annotated-by": "modelarts/active-learning", "confidence": 0.5}
    await street.load(street.manifest({"source": "1.png", "annotation": [pointing("./xml/1.xml", **machine)]}))
    assert (await street.dataset.sample("1.png"))["state"] == "PENDING"
    assert [(mark[5], mark[6]) for mark in await street.annotations()] == [(0.5, False)] * 2


FEATURES = {
    "bndbox": ([[1, 2], [6, 5]], "BoundingBox"),
    "polygon": ([[1, 1], [5, 1], [3, 4]], "Polygon"),
    "polyline": ([[1, 1], [5, 1]], "Polyline"),
    "dashed": ([[1, 1], [5, 1]], "Polyline"),
    "circle": ([[4, 3], [2]], "Circle"),
    "point": ([[4, 3]], "Point"),
}


@pytest.mark.parametrize("shape", FEATURES)
@pytest.mark.parametrize("as_text", [False, True])
async def test_shapes_may_stand_in_the_line(street: ImportFixture, shape: str, as_text: bool) -> None:
    street.put("1.png")
    feature, type_name = FEATURES[shape]
    given = {"@modelarts:shape": shape, "@modelarts:feature": json.dumps(feature) if as_text else feature}
    mark = {"name": "bike", "type": "modelarts/object_detection", "property": given}
    job = await street.load(street.manifest({"source": "1.png", "annotation": [mark]}))
    assert await street.warnings(job) == []
    assert shapes(await street.annotations()) == [("bike", type_name)]


@pytest.mark.parametrize(
    "feature",
    [
        None,
        "x",
        [[1]],
        [[1, 2]],
        [[1, 2], [99, 99]],
        [["a", "b"], [1, 2]],
        [["nan", 1], [2, 3]],
        [[1, 1], ["inf", 3]],
        {"a": 1},
    ],
)
async def test_a_shape_that_cannot_be_is_reported_and_left_out(street: ImportFixture, feature: Any) -> None:
    street.put("1.png")
    given = {"@modelarts:shape": "bndbox", "@modelarts:feature": feature}
    mark = {"name": "bike", "type": "modelarts/object_detection", "property": given}
    whole = {"name": "bus", "type": "modelarts/object_detection"}
    job = await street.load(street.manifest({"source": "1.png", "annotation": [mark, whole]}))
    assert await street.dataset.labels() == {"1.png": ["bus"]}
    assert len(await street.warnings(job)) == 1


async def test_several_shapes_of_one_label_are_all_there(street: ImportFixture) -> None:
    street.put("1.png")
    (street.folder / "xml" / "1.xml").write_text(file(thing("bike"), thing("bike", RING), thing("bike")))
    await street.load(street.manifest({"source": "1.png", "annotation": [pointing("./xml/1.xml")]}))
    assert len(await street.annotations()) == 3
    assert await street.dataset.labels() == {"1.png": ["bike"]}


async def test_segmentation_takes_areas_only(database: Database, tmp_path: Path) -> None:
    field = await opened(database, tmp_path, "IMAGE_SEGMENTATION")
    (field.images / "1.png").write_bytes(image_bytes())
    (field.folder / "xml" / "1.xml").write_text(
        file(thing("plant", RING, more="<mask_color>1,2,3</mask_color>"), thing("box"))
    )
    line = {"source": "1.png", "annotation": [pointing("./xml/1.xml", "image_segmentation")]}
    job = await field.load(field.manifest(line))
    assert shapes(await field.annotations()) == [("plant", "Polygon")]
    assert len(await field.warnings(job)) == 1


async def test_without_an_image_s_size_there_are_no_shapes_on_it(street: ImportFixture) -> None:
    street.put("1.png")
    await street.dataset.sync()
    await street.dataset.do("UPDATE source SET width = NULL, height = NULL")
    (street.folder / "xml" / "1.xml").write_text(file(thing("bike")))
    given = {"@modelarts:shape": "point", "@modelarts:feature": [[1, 1]]}
    inline = {"name": "bus", "property": given}
    job = await street.load(street.manifest({"source": "1.png", "annotation": [pointing("./xml/1.xml"), inline]}))
    assert await street.annotations() == []
    assert all("size" in message for _, message in await street.warnings(job))
