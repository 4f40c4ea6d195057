"""An import of another tool's files that dies anywhere and is taken up again ends as one that never died."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.datasets import check
from db.ingest import imports
from db.postgres.engine import Database
from tests.db import crash_injection, dataset_fixture
from tests.db.annotation_import_fixture import AnnotationImports, counted, pack
from tests.db.crash_injection import CrashPoint, empty_unlogged_tables
from tests.db.dataset_fixture import image_bytes

FOLDERS = count()
COLORS = ("red", "green", "blue", "grey", "black")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many boundaries with few images."""
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    monkeypatch.setattr("db.ingest.imports.records.BATCH", 3)


async def prepared(database: Database, folder: Path) -> AnnotationImports:
    """Samples, one of them labelled by a person, and a file that is no sample yet."""
    root = folder / f"{next(FOLDERS)}"
    (root / "images").mkdir(parents=True)
    importer = AnnotationImports(await dataset_fixture.local(database, root / "images"), root)
    for number, color in enumerate(COLORS[:4]):
        importer.dataset.put(f"a/{number}.png", image_bytes(color))
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("a/1.png", "mine")
    importer.dataset.put("new.png", image_bytes(COLORS[4]))
    lines = [
        *({"path": f"a/{number}.png", "label": "cat"} for number in range(2)),
        {"path": "2.png", "label": "dog"},
        "wrong",
        {"path": "none.png", "label": "dog"},
        {"path": "new.png", "labels": ["cat", "bad label!"]},
        {"path": "a/0.png", "label": "dog"},
        {"path": "x/a/3.png", "label": "bird", "usage": "test"},
    ]
    importer.write("labels.jsonl", "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return importer


async def state(importer: AnnotationImports, job_id: int) -> dict[str, Any]:
    """All that a user could see, apart from ids and times."""
    samples = await importer.dataset.rows(
        "SELECT path, state, labeled_by, labeled_origin, hard, usage FROM sample WHERE dataset_id = $1 ORDER BY 1",
        importer.dataset.dataset_id,
    )
    job = await importer.dataset.job(job_id)
    async with importer.dataset.database.reading() as connection:
        wrong = await check.recount(connection, importer.dataset.dataset_id)
    return {
        "samples": [tuple(row) for row in samples],
        "annotations": await importer.annotations(),
        "changes": await importer.dataset.changes(),
        "job": counted(job) | {"status": job["status"], "progress": job["progress"], "format": job["format"]},
        "warnings": sorted(await importer.dataset.warnings(job_id)),
        "notices": await importer.notices(job),
        "labels": await importer.new_labels(job),
        "wrong": wrong,
        "left over": len(await importer.dataset.rows("SELECT FROM import_line")),
    }


async def live(importer: AnnotationImports, job_id: int, crash_point: CrashPoint) -> bool:
    return await crash_injection.live(importer.dataset.database, importer.folder, job_id, crash_point, imports.run)


async def clean_run(database: Database, folder: Path, *, dry_run: bool) -> dict[str, Any]:
    importer = await prepared(database, folder)
    job_id = await importer.start(importer.folder / "labels.jsonl", dry_run=dry_run)
    assert await live(importer, job_id, CrashPoint())
    return await state(importer, job_id)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_crash_at_any_step_leaves_no_trace(database: Database, tmp_path: Path, dry_run: bool) -> None:
    clean = await clean_run(database, tmp_path, dry_run=dry_run)
    assert clean["job"] == {
        "scanned": 7, "added": 1, "updated": 3, "labeled": 4, "skipped": 2, "matched": 4, "kept": 1, "missing": 1,
        "status": "SUCCEEDED", "progress": 1.0, "format": "JSON_LINES",
    }  # fmt: skip
    assert (clean["wrong"], clean["left over"], len(clean["changes"]) > 1) == ([], 0, not dry_run)
    for step in count():
        importer = await prepared(database, tmp_path)
        job_id = await importer.start(importer.folder / "labels.jsonl", dry_run=dry_run)
        if await live(importer, job_id, CrashPoint(step)):
            break
        await jobs.sweep(database)
        assert await live(importer, job_id, CrashPoint())
        assert await state(importer, job_id) == clean, f"after a crash at step {step}"
    assert step > 20, "the scenario has become too small to tell anything"


async def test_images_are_stored_once_wherever_the_import_crashes(database: Database, tmp_path: Path) -> None:
    async def begin() -> tuple[AnnotationImports, int]:
        root = tmp_path / f"{next(FOLDERS)}"
        (root / "images").mkdir(parents=True)
        importer = AnnotationImports(await dataset_fixture.local(database, root / "images"), root)
        for color in COLORS[:3]:
            importer.write(f"set/{color}/1.png", image_bytes(color))
        path = pack(importer.write("set/red/2.png", b"no image").parents[1], "zip")
        return importer, await importer.start(path, images="STORE")

    async def end(importer: AnnotationImports, job_id: int) -> Any:
        files = {str(file.relative_to(importer.folder)) for file in (importer.folder / "images").rglob("*.*")}
        return files, await state(importer, job_id)

    importer, job_id = await begin()
    assert await live(importer, job_id, CrashPoint())
    clean = await end(importer, job_id)
    assert (len(clean[0]), clean[1]["job"]["added"], clean[1]["job"]["skipped"]) == (3, 3, 1)
    for step in count(4):
        importer, job_id = await begin()
        if await live(importer, job_id, CrashPoint(step)):
            break
        await jobs.sweep(database)
        assert await live(importer, job_id, CrashPoint())
        assert await end(importer, job_id) == clean, f"after a crash at step {step}"
    assert step > 20, "the scenario has become too small to tell anything"


async def test_a_dry_run_whose_staging_table_is_lost_counts_nothing_twice(database: Database, tmp_path: Path) -> None:
    clean = await clean_run(database, tmp_path, dry_run=True)
    for step in range(12, 26, 3):
        importer = await prepared(database, tmp_path)
        job_id = await importer.start(importer.folder / "labels.jsonl", dry_run=True)
        await live(importer, job_id, CrashPoint(step))
        await empty_unlogged_tables(database)
        await jobs.sweep(database)
        await live(importer, job_id, CrashPoint())
        assert await state(importer, job_id) == clean, f"after a crash at step {step}"
