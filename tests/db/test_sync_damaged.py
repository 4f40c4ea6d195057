"""Sync of images whose files end before they do."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from db.errors import StorageError
from db.formats import decoding
from db.formats.decoding import Limits
from db.formats.images import HEAD_SIZE, TAIL_SIZE, ImageLimits, UnreadableImage
from db.ingest import images
from db.postgres.engine import Database
from db.storage import LocalStore, Store, Stores
from db.storage.locations import AllowedLocations
from tests import s3
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, counted
from tests.db.images import jpeg, noise_image, png
from tests.memory_store import MemoryStore

LARGE = noise_image(size=(640, 480))
PHOTO, SHEET = jpeg(image=LARGE), png(image=LARGE)
FILM = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\0" * 70


@pytest.fixture(params=["local", "memory"])
async def dataset(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> DatasetFixture:
    if request.param == "local":
        return await dataset_fixture.make(database, LocalStore(tmp_path), tmp_path)
    return await dataset_fixture.make(database, MemoryStore())


async def damaged(dataset: DatasetFixture) -> dict[str, bool]:
    rows = await dataset.rows(
        "SELECT s.path, x.damaged FROM sample s JOIN source x ON x.id = s.source_id WHERE s.dataset_id = $1 ORDER BY 1",
        dataset.dataset_id,
    )
    return {row["path"]: row["damaged"] for row in rows}


async def test_a_cut_image_is_a_sample_marked_damaged_and_a_warning(dataset: DatasetFixture) -> None:
    assert len(PHOTO) > HEAD_SIZE
    files = {
        "cut.jpg": PHOTO[: len(PHOTO) * 6 // 10],
        "cut.png": SHEET[: len(SHEET) * 6 // 10],
        "endless.jpg": PHOTO[:-2],
        "endless.png": SHEET[:-12],
        "film.jpg": PHOTO + FILM,
        "long.jpg": PHOTO + FILM + os.urandom(8 * 1024 * 1024),
        "padded.png": SHEET + bytes(10_000),
        "small.jpg": jpeg()[:-2],
        "small-cut.jpg": jpeg()[:-200],
        "whole.jpg": PHOTO,
        "whole.png": SHEET,
    }
    for path, data in files.items():
        dataset.put(path, data)
    job = await dataset.sync()
    assert counted(job, added=len(files))
    cut = ["cut.jpg", "cut.png", "small-cut.jpg"]
    assert await damaged(dataset) == {path: path in cut for path in sorted(files)}
    assert sorted(await dataset.warnings(job["id"])) == [(path, images.DAMAGED) for path in cut]
    assert counted(await dataset.sync())


async def test_a_whole_image_in_its_place_is_damaged_no_more(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", PHOTO[:-5_000])
    await dataset.sync()
    dataset.put("a.jpg", PHOTO)
    assert counted(await dataset.sync(), updated=1)
    assert await damaged(dataset) == {"a.jpg": False}


async def test_a_damaged_image_that_moves_stays_damaged(dataset: DatasetFixture) -> None:
    dataset.put("a.jpg", PHOTO[:-5_000])
    await dataset.sync()
    dataset.move("a.jpg", "b.jpg")
    assert counted(await dataset.sync(), moved=1)
    assert await damaged(dataset) == {"b.jpg": True}


class Counting(MemoryStore):
    """How many bytes were read of each file, after its first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.again: dict[str, int] = {}

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = await super().read(path, start=start, length=length)
        self.again[path] = self.again.get(path, 0) + len(data)
        return data


async def test_of_whole_images_only_the_ends_are_read_again(database: Database) -> None:
    store = Counting()
    dataset = await dataset_fixture.make(database, store)
    for number in range(5):
        dataset.put(f"{number}.jpg", PHOTO)
        dataset.put(f"small-{number}.jpg", jpeg())
    await dataset.sync()
    assert store.again == {f"{number}.jpg": TAIL_SIZE for number in range(5)}


async def test_what_cannot_be_read_again_is_not_called_damaged(database: Database) -> None:
    class Flaky(MemoryStore):
        async def read(self, path: str, **_: Any) -> bytes:
            raise StorageError("not now")

    dataset = await dataset_fixture.make(database, Flaky())
    dataset.put("a.jpg", PHOTO[:-5_000])
    assert counted(await dataset.sync(), added=1)
    assert await damaged(dataset) == {"a.jpg": False}


async def test_decoders_tell_and_one_that_is_lost_leaves_the_image_damaged() -> None:
    async def heads(store: Store) -> dict[str, Any]:
        paths = ["cut.jpg", "endless.jpg"]
        return dict(zip(paths, await store.heads(paths, length=HEAD_SIZE), strict=True))

    store = MemoryStore()
    store.put("cut.jpg", PHOTO[:-5_000])
    store.put("endless.jpg", PHOTO[:-2])
    async with decoding.decoders(Limits(processes=2)) as decoders:
        assert await images.find_damaged(store, await heads(store), ImageLimits(is_complete=decoders.is_complete)) == {
            "cut.jpg"
        }

    async def lost(_: bytes) -> bool:
        await asyncio.sleep(0)
        raise UnreadableImage("too costly")

    found = await images.find_damaged(store, await heads(store), ImageLimits(is_complete=lost))
    assert found == {"cut.jpg", "endless.jpg"}


async def test_ends_are_looked_at_in_a_bucket_too(s3_endpoint: str) -> None:
    files = {"cut.jpg": PHOTO[:-5_000], "endless.jpg": PHOTO[:-2], "film.jpg": PHOTO + FILM * 50, "whole.png": SHEET}
    async with s3.connected(s3_endpoint, "damaged") as opened:
        store = Stores(AllowedLocations(s3=True), opened).open("s3://damaged/")
        for path, data in files.items():
            await store.write(path, data)
        heads = dict(zip(files, await store.heads(list(files), length=HEAD_SIZE), strict=True))
        assert await images.find_damaged(store, heads, ImageLimits()) == {"cut.jpg"}  # type: ignore[arg-type]
