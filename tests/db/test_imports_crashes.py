"""An import that dies anywhere and is taken up again ends as one that never died: rows, files, counters, warnings."""

import random
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.ingest import imports
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.crash_injection import empty_unlogged_tables, live_on
from tests.db.dataset_fixture import image_bytes
from tests.db.import_crashes import Begin, clean_run, crash_at_each_step, live, new_folder, recover, state_of_any
from tests.db.import_fixture import CAT, DOG, ImportFixture, counted

RED, GREEN, BLUE, GREY = (image_bytes(color) for color in ("red", "green", "blue", "grey"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many boundaries with few lines."""
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    monkeypatch.setattr("db.ingest.imports.reading.BATCH", 3)


@pytest.fixture
def begin(database: Database, tmp_path: Path) -> Begin[ImportFixture]:
    async def begin() -> tuple[ImportFixture, int]:
        importer = await prepared(database, new_folder(tmp_path))
        return importer, await importer.start(manifest(importer))

    return begin


async def prepared(database: Database, folder: Path) -> ImportFixture:
    """Images here and elsewhere, known and unknown, in each other's way; and lines that are wrong."""
    (folder / "else").mkdir()
    importer = ImportFixture(await dataset_fixture.local(database, folder / "images"), folder)
    for name, data in (("known", RED), ("mine", GREEN), ("in the way", GREY)):
        importer.dataset.put(f"{name}.png", data)
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("mine.png", "mine")
    importer.dataset.put("new.png", BLUE)
    for name, data in (("far", RED), ("in the way", GREEN)):
        (folder / "else" / f"{name}.png").write_bytes(data)
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
    samples = await importer.dataset.rows(
        "SELECT s.path, s.state, s.labeled_by, s.labeled_origin, s.hard, s.usage, x.etag, x.status"
        " FROM sample s JOIN source x ON x.id = s.source_id WHERE s.dataset_id = $1 ORDER BY 1",
        importer.dataset.dataset_id,
    )
    return await state_of_any(importer, job_id) | {
        "samples": [tuple(row) for row in samples],
        "annotations": [mark for mark in await importer.annotations() if mark[4] == "IMPORT"],
        "labels": await importer.dataset.labels(),
        "files": sorted((path.name, path.read_bytes()) for path in importer.images.iterdir()),
        "counts": counted(await importer.dataset.job(job_id)),
        "warnings": sorted((path, message.split("/")[-1]) for path, message in await importer.dataset.warnings(job_id)),
    }


async def test_the_clean_run_is_what_it_should_be(begin: Begin[ImportFixture]) -> None:
    clean = await clean_run(begin, state)
    assert clean["status"] == ("SUCCEEDED", 1.0, "MODELARTS_MANIFEST")
    assert clean["counts"] == {"scanned": 8, "added": 3, "updated": 1, "labeled": 4, "skipped": 3}
    assert clean["labels"] == {
        "far.png": ["far"],
        "in the way-1.png": ["far"],
        "in the way.png": [],
        "known.png": ["cat", "dog"],
        "mine.png": ["mine"],
        "new.png": ["dog"],
    }
    assert (clean["wrong"], clean["left over"], len(clean["warnings"])) == ([], 0, 3)


async def test_a_crash_at_any_step_leaves_no_trace(begin: Begin[ImportFixture]) -> None:
    steps = await crash_at_each_step(begin, state)
    assert steps > 25, "the scenario has become too small to tell anything"


async def test_two_crashes_and_the_loss_of_the_staging_table_leave_no_trace(
    database: Database, begin: Begin[ImportFixture]
) -> None:
    clean = await clean_run(begin, state)
    chance = random.Random(5)
    for _ in range(15):
        first, second = chance.randrange(30), chance.randrange(20)
        importer, job_id = await begin()
        await live(importer, job_id, first)
        await jobs.sweep(database)
        await live(importer, job_id, second)
        if first % 2:
            await empty_unlogged_tables(database)
        await recover(importer, job_id)
        assert await state(importer, job_id) == clean, f"after crashes at steps {first} and {second}"


async def test_a_crash_of_postgres_that_the_worker_outlives_leaves_no_trace(
    database: Database, begin: Begin[ImportFixture]
) -> None:
    clean = await clean_run(begin, state)
    for commits in count(1):
        importer, job_id = await begin()
        is_reached = await live_on(database, job_id, commits, partial(imports.run, stores=importer.stores))
        assert await state(importer, job_id) == clean, f"after a crash behind commit {commits}"
        if not is_reached:
            break
    assert commits > 5
