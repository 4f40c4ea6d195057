"""A worker that dies at any step of an export: another finishes it, and what comes out is the same, byte by byte."""

from pathlib import Path
from typing import Any, cast

import pytest

from db import jobs
from db.exports import images, requests
from db.exports import job as exports
from db.postgres.engine import Database
from tests.db.crash_injection import Crash, CrashingDatabase, CrashingStores, CrashPoint
from tests.db.export_fixture import SECRET, ExportHouse, local_house
from tests.db.test_exports import small

PATHS = [f"{number:02}.png" for number in range(12)]
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "archives": ("COCO", {"images": "INCLUDED", "max_file_bytes": 3_000}),
    "one archive": ("CSV", {"images": "INCLUDED", "packing": "TAR"}),
    "single files": ("COCO", {"images": "INCLUDED", "packing": "FILES"}),
    "a document": ("JSON_LINES", {}),
}


@pytest.fixture
def house(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExportHouse:
    monkeypatch.setattr(requests, "MIN_FILE", 1)
    monkeypatch.setattr(images, "READ_FILES", 2)
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    monkeypatch.setattr(exports, "COMMIT", 4)
    return local_house(database, tmp_path)


async def run(house: ExportHouse, claim: jobs.Claim, crash_point: CrashPoint) -> None:
    database = cast(Database, CrashingDatabase(house.database, crash_point))
    stores = CrashingStores(house.stores.locations, crash_point)
    await exports.run(database, claim, stores, SECRET, house.folder)


@pytest.mark.parametrize("way", WAYS)
async def test_killed_anywhere_it_ends_as_if_nothing_had_happened(house: ExportHouse, way: str) -> None:
    dataset = await small(house, *PATHS)
    await house.label(dataset, "cat", *PATHS[::2])
    (Path(house.root) / "a" / PATHS[5]).unlink()
    format_, options = WAYS[way]

    async def finished(
        steps: int | None,
    ) -> tuple[bool, dict[str, bytes], dict[str, bytes], dict[str, tuple[str, int]]]:
        """Whether it crashed after so many steps, and what it left, once it was continued."""
        job, crashed = await house.request(dataset, format_, **options), False
        claim = await house.claimed(job)
        try:
            await run(house, claim, CrashPoint(steps))
        except Crash:
            crashed = True
            assert await jobs.sweep(house.database) == [job]
            claim = await house.claimed(job)
            await run(house, claim, CrashPoint())
        await jobs.finish(house.database, claim, "SUCCEEDED")
        [export] = await house.rows("SELECT location, image_count FROM export WHERE job_id = $1", job)
        assert export["image_count"] == (12 if way == "a document" else 11)
        return crashed, await house.files(job), await house.objects(export["location"]), await house.warnings(job)

    _, *expected = await finished(None)
    steps, crashed = 0, True
    while crashed:
        crashed, *found = await finished(steps)
        assert found == expected, f"after {steps} steps"
        steps += 1
    assert steps > 5


async def test_what_is_found_missing_while_others_are_noted_is_noted_later(
    house: ExportHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[images.Images] = []

    def make(*arguments: Any) -> images.Images:
        made.append(images.Images(*arguments))
        return made[-1]

    in_batch = jobs.in_batch

    async def find_missing_meanwhile(*arguments: Any) -> None:
        await in_batch(*arguments)
        if made and not made[0].warnings:
            made[0].warnings.append(("late.png", "It is late."))

    dataset = await small(house, *PATHS)
    job = await house.request(dataset, *WAYS["single files"][:1], **WAYS["single files"][1])
    claim = await house.claimed(job)
    monkeypatch.setattr(exports, "Images", make)
    monkeypatch.setattr(jobs, "in_batch", find_missing_meanwhile)
    await run(house, claim, CrashPoint())
    assert await house.warnings(job) == {"It is late.": ("late.png", 1)}


async def test_what_was_missing_once_is_missing_in_the_whole_export(house: ExportHouse) -> None:
    """Its archive is written already when the file comes back."""
    dataset = await small(house, *PATHS)
    file = Path(house.root) / "a" / PATHS[0]
    data = file.read_bytes()
    format_, options = WAYS["archives"]
    contents = []
    for steps in (None, 20):
        file.unlink()
        job = await house.request(dataset, format_, **options)
        claim = await house.claimed(job)
        if steps is not None:
            with pytest.raises(Crash):
                await run(house, claim, CrashPoint(steps))
            assert len(await house.rows("SELECT FROM export_file WHERE job_id = $1", job)) >= 1
            await jobs.sweep(house.database)
            claim = await house.claimed(job)
        file.write_bytes(data)
        if steps is None:
            file.unlink()
        await run(house, claim, CrashPoint())
        await jobs.finish(house.database, claim, "SUCCEEDED")
        contents.append((await house.files(job), await house.warnings(job)))
        file.write_bytes(data)
    assert contents[0] == contents[1]
