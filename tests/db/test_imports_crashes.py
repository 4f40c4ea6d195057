"""An import that dies anywhere and is taken up again ends as one that never died: rows, files, counters, warnings."""

import random
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.datasets import check
from db.ingest import imports
from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.db import crash_injection, dataset_fixture
from tests.db.crash_injection import CrashPoint, empty_unlogged_tables, live_on
from tests.db.dataset_fixture import image_bytes
from tests.db.import_fixture import CAT, DOG, ImportFixture, counted

FOLDERS = count()
RED, GREEN, BLUE, GREY = (image_bytes(color) for color in ("red", "green", "blue", "grey"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many boundaries with few lines."""
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    monkeypatch.setattr("db.ingest.imports.reading.BATCH", 3)


async def prepared(database: Database, folder: Path) -> ImportFixture:
    """Images here and elsewhere, known and unknown, in each other's way; and lines that are wrong."""
    root = folder / f"{next(FOLDERS)}"
    (root / "images").mkdir(parents=True)
    (root / "else").mkdir()
    importer = ImportFixture(await dataset_fixture.local(database, root / "images"), root)
    for name, data in (("known", RED), ("mine", GREEN), ("in the way", GREY)):
        importer.dataset.put(f"{name}.png", data)
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("mine.png", "mine")
    importer.dataset.put("new.png", BLUE)
    for name, data in (("far", RED), ("in the way", GREEN)):
        (root / "else" / f"{name}.png").write_bytes(data)
    return importer


def manifest(importer: ImportFixture) -> Path:
    far = {"annotation": [CAT | {"name": "far"}], "usage": "TEST"}
    return importer.manifest(
        {"source": "known.png", "annotation": [CAT, DOG]},
        {"source": f"{importer.folder}/else/far.png"} | far,
        "wrong",
        {"source": "mine.png", "annotation": [CAT]},
        {"source": f"{importer.folder}/else/in the way.png"} | far,
        {"source": "new.png", "annotation": [DOG], "hard": True},
        {"source": "none.png", "annotation": [DOG]},
        {"source": "known.png", "annotation": [DOG]},
    )


async def state(importer: ImportFixture, job_id: int) -> dict[str, Any]:
    """All that a user could see, apart from ids and times."""
    samples = await importer.dataset.rows(
        "SELECT s.path, s.state, s.labeled_by, s.labeled_origin, s.hard, s.usage, x.etag, x.status"
        " FROM sample s JOIN source x ON x.id = s.source_id WHERE s.dataset_id = $1 ORDER BY 1",
        importer.dataset.dataset_id,
    )
    job = await importer.dataset.job(job_id)
    async with importer.dataset.database.reading() as connection:
        wrong = await check.recount(connection, importer.dataset.dataset_id)
    return {
        "samples": [tuple(row) for row in samples],
        "annotations": [mark for mark in await importer.annotations() if mark[4] == "IMPORT"],
        "labels": await importer.dataset.labels(),
        "files": sorted((path.name, path.read_bytes()) for path in importer.images.iterdir()),
        "changes": await importer.dataset.changes(),
        "job": counted(job) | {"status": job["status"], "progress": job["progress"]},
        "warnings": sorted((path, message.split("/")[-1]) for path, message in await importer.dataset.warnings(job_id)),
        "wrong": wrong,
        "left over": len(await importer.dataset.rows("SELECT FROM import_line")),
    }


async def live(importer: ImportFixture, job_id: int, crash_point: CrashPoint) -> bool:
    return await crash_injection.live(importer.dataset.database, importer.folder, job_id, crash_point, imports.run)


async def clean_run(database: Database, folder: Path) -> dict[str, Any]:
    importer = await prepared(database, folder)
    job_id = await importer.start(manifest(importer))
    assert await live(importer, job_id, CrashPoint())
    return await state(importer, job_id)


async def test_the_clean_run_is_what_it_should_be(database: Database, tmp_path: Path) -> None:
    clean = await clean_run(database, tmp_path)
    assert clean["job"] == {
        "scanned": 8, "added": 3, "updated": 1, "labeled": 4, "skipped": 3, "status": "SUCCEEDED", "progress": 1.0,
    }  # fmt: skip
    assert clean["labels"] == {
        "far.png": ["far"],
        "in the way-1.png": ["far"],
        "in the way.png": [],
        "known.png": ["cat", "dog"],
        "mine.png": ["mine"],
        "new.png": ["dog"],
    }
    assert (clean["wrong"], clean["left over"], len(clean["warnings"])) == ([], 0, 3)


async def test_a_crash_at_any_step_leaves_no_trace(database: Database, tmp_path: Path) -> None:
    clean = await clean_run(database, tmp_path)
    for step in count():
        importer = await prepared(database, tmp_path)
        job_id = await importer.start(manifest(importer))
        if await live(importer, job_id, CrashPoint(step)):
            break
        await jobs.sweep(database)
        assert await live(importer, job_id, CrashPoint())
        assert await state(importer, job_id) == clean, f"after a crash at step {step}"
    assert step > 25, "the scenario has become too small to tell anything"


async def test_two_crashes_and_the_loss_of_the_staging_table_leave_no_trace(database: Database, tmp_path: Path) -> None:
    clean = await clean_run(database, tmp_path)
    chance = random.Random(5)
    for first, second in pairs(chance):
        importer = await prepared(database, tmp_path)
        job_id = await importer.start(manifest(importer))
        await live(importer, job_id, CrashPoint(first))
        await jobs.sweep(database)
        await live(importer, job_id, CrashPoint(second))
        if first % 2:
            await empty_unlogged_tables(database)
        await jobs.sweep(database)
        await live(importer, job_id, CrashPoint())
        found = await state(importer, job_id)
        assert found == clean, f"after crashes at steps {first} and {second}"


async def test_a_crash_of_postgres_that_the_worker_outlives_leaves_no_trace(database: Database, tmp_path: Path) -> None:
    clean = await clean_run(database, tmp_path)
    for commits in count(1):
        importer = await prepared(database, tmp_path)
        job_id = await importer.start(manifest(importer))
        stores = Stores(AllowedLocations((importer.folder,)))
        is_reached = await live_on(database, job_id, commits, partial(imports.run, stores=stores))
        assert await state(importer, job_id) == clean, f"after a crash behind commit {commits}"
        if not is_reached:
            break
    assert commits > 5


def pairs(chance: random.Random) -> Iterator[tuple[int, int]]:
    for _ in range(15):
        yield chance.randrange(30), chance.randrange(20)
