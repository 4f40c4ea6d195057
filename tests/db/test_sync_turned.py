"""Sync of VOC files that were drawn on the upright picture of a photo that its camera turned."""

import io
from pathlib import Path

import pytest
from PIL import Image

from db.formats.shapes import BoundingBox
from db.postgres.engine import Database
from db.storage import LocalStore
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted
from tests.db.images import EXIF, jpeg, noise_image, oriented
from tests.db.test_sync_voc import annotations_of
from tests.memory_store import MemoryStore

DRAWN = "<object><name>cat</name><bndbox><xmin>5</xmin><ymin>50</ymin><xmax>20</xmax><ymax>60</ymax></bndbox></object>"
OTHER = "<object><name>dog</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
UPRIGHT = f"<annotation><size><width>48</width><height>64</height></size>{DRAWN}{OTHER}</annotation>"
STORED = {
    5: [BoundingBox(50, 5, 60, 20), BoundingBox(20, 10, 40, 30)],
    6: [BoundingBox(50, 28, 60, 43), BoundingBox(20, 18, 40, 38)],
    7: [BoundingBox(4, 28, 14, 43), BoundingBox(24, 18, 44, 38)],
    8: [BoundingBox(4, 5, 14, 20), BoundingBox(24, 10, 44, 30)],
}


@pytest.fixture(params=["local", "memory"])
async def dataset(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> DatasetFixture:
    if request.param == "memory":
        return await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
    return await dataset_fixture.make(database, LocalStore(tmp_path), tmp_path, kind="OBJECT_DETECTION")


def photo(orientation: int) -> bytes:
    return jpeg((0xE1, EXIF + oriented(orientation)), image=noise_image(size=(64, 48)))


@pytest.mark.parametrize("orientation", STORED)
async def test_shapes_lie_where_they_were_drawn(dataset: DatasetFixture, orientation: int) -> None:
    dataset.put("a.jpg", photo(orientation))
    dataset.put("a.xml", UPRIGHT)
    job = await dataset.sync()
    assert [shape for _, shape, _ in await annotations_of(dataset, "a.jpg")] == STORED[orientation]
    [(path, message)] = await dataset.warnings(job["id"])
    assert (path, "converted to pixels of the stored image" in message) == ("a.xml", True)


async def test_the_box_shows_what_was_drawn_around(database: Database) -> None:
    """A dark spot on the upright picture, a box around it: the stored pixels in the stored box are dark."""
    upright = Image.new("L", (48, 64), 255)
    upright.paste(0, (5, 50, 20, 60))
    back = {5: 5, 6: 8, 7: 7, 8: 6}  # the turn that undoes the turn
    turns = {5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
    for orientation in STORED:
        dataset = await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")
        stored = upright.transpose(Image.Transpose[turns[back[orientation]]])
        data = jpeg((0xE1, EXIF + oriented(orientation)), image=stored, quality=100)
        dataset.put("a.jpg", data)
        dataset.put("a.xml", UPRIGHT)
        await dataset.sync()
        [(_, box, _), _] = await annotations_of(dataset, "a.jpg")
        inside = Image.open(io.BytesIO(data)).crop((box.x_min, box.y_min, box.x_max, box.y_max))
        assert inside.getextrema()[1] < 60, f"orientation {orientation}"  # type: ignore[operator]


async def test_a_photo_whose_turn_was_carried_out_takes_its_shapes_as_they_were_drawn(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", photo(6))
    dataset.put("a.xml", UPRIGHT)
    await dataset.sync()
    dataset.put("a.jpg", jpeg(image=noise_image(size=(48, 64))))
    job = await dataset.sync()
    assert counted(job, updated=1)
    assert [shape for _, shape, _ in await annotations_of(dataset, "a.jpg")] == [
        BoundingBox(5, 50, 20, 60), BoundingBox(10, 20, 30, 40),
    ]  # fmt: skip
    assert await dataset.warnings(job["id"]) == []
    assert counted(await dataset.sync())


async def test_a_photo_that_lost_its_turn_keeps_its_shapes_in_stored_pixels(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", photo(6))
    dataset.put("a.xml", UPRIGHT)
    await dataset.sync()
    dataset.put("a.jpg", photo(1))
    job = await dataset.sync()
    assert [shape for _, shape, _ in await annotations_of(dataset, "a.jpg")] == STORED[6]
    assert ["The file was not used" in message for _, message in await dataset.warnings(job["id"])] == [True]


async def test_what_a_person_drew_outlasts_a_turned_image(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", photo(6))
    dataset.put("a.xml", UPRIGHT)
    await dataset.sync()
    await dataset.label_by_hand("a.jpg", "mine")
    dataset.put("a.jpg", jpeg(image=noise_image(size=(48, 64))))
    await dataset.sync()
    assert await dataset.labels() == {"a.jpg": ["mine"]}
