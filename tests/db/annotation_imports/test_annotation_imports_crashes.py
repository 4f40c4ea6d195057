"""An import of another tool's files that dies anywhere and is taken up again ends as one that never died."""

import json
from pathlib import Path
from typing import Any

import pytest

from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.annotation_import_fixture import AnnotationImports, counted, pack
from tests.db.crash_injection import empty_unlogged_tables
from tests.db.dataset_fixture import image_bytes
from tests.db.import_crashes import Begin, clean_run, crash_at_each_step, live, new_folder, recover, state_of_any

COLORS = ("red", "green", "blue", "grey", "black")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many boundaries with few images."""
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    monkeypatch.setattr("db.ingest.imports.records.BATCH", 3)


async def importer_in(database: Database, folder: Path) -> AnnotationImports:
    root = new_folder(folder)
    return AnnotationImports(await dataset_fixture.local(database, root / "images"), root)


def of_lines(database: Database, folder: Path, *, dry_run: bool) -> Begin[AnnotationImports]:
    async def begin() -> tuple[AnnotationImports, int]:
        importer = await prepared(database, folder)
        return importer, await importer.start(importer.folder / "labels.jsonl", dry_run=dry_run)

    return begin


async def prepared(database: Database, folder: Path) -> AnnotationImports:
    """Samples, one of them labelled by a person, and a file that is no sample yet."""
    importer = await importer_in(database, folder)
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
    samples = await importer.dataset.rows(
        "SELECT path, state, labeled_by, labeled_origin, hard, usage FROM sample WHERE dataset_id = $1 ORDER BY 1",
        importer.dataset.dataset_id,
    )
    job = await importer.dataset.job(job_id)
    return await state_of_any(importer, job_id) | {
        "samples": [tuple(row) for row in samples],
        "annotations": await importer.annotations(),
        "counts": counted(job),
        "warnings": sorted(await importer.dataset.warnings(job_id)),
        "notices": await importer.notices(job),
        "labels": await importer.new_labels(job),
    }


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_crash_at_any_step_leaves_no_trace(database: Database, tmp_path: Path, dry_run: bool) -> None:
    begin = of_lines(database, tmp_path, dry_run=dry_run)
    clean = await clean_run(begin, state)
    assert clean["status"] == ("SUCCEEDED", 1.0, "JSON_LINES")
    assert clean["counts"] == {
        "scanned": 7, "added": 1, "updated": 3, "labeled": 4, "skipped": 2, "matched": 4, "kept": 1, "missing": 1,
    }  # fmt: skip
    assert (clean["wrong"], clean["left over"], len(clean["changes"]) > 1) == ([], 0, not dry_run)
    steps = await crash_at_each_step(begin, state)
    assert steps > 20, "the scenario has become too small to tell anything"


async def test_images_are_stored_once_wherever_the_import_crashes(database: Database, tmp_path: Path) -> None:
    async def begin() -> tuple[AnnotationImports, int]:
        importer = await importer_in(database, tmp_path)
        for color in COLORS[:3]:
            importer.write(f"set/{color}/1.png", image_bytes(color))
        path = pack(importer.write("set/red/2.png", b"no image").parents[1], "zip")
        return importer, await importer.start(path, images="STORE")

    async def state_and_files(importer: AnnotationImports, job_id: int) -> tuple[set[str], dict[str, Any]]:
        files = {str(file.relative_to(importer.folder)) for file in (importer.folder / "images").rglob("*.*")}
        return files, await state(importer, job_id)

    files, clean = await clean_run(begin, state_and_files)
    assert (len(files), clean["counts"]["added"], clean["counts"]["skipped"]) == (3, 3, 1)
    steps = await crash_at_each_step(begin, state_and_files, first=4)
    assert steps > 20, "the scenario has become too small to tell anything"


async def test_a_dry_run_whose_staging_table_is_lost_counts_nothing_twice(database: Database, tmp_path: Path) -> None:
    begin = of_lines(database, tmp_path, dry_run=True)
    clean = await clean_run(begin, state)
    for step in range(12, 26, 3):
        importer, job_id = await begin()
        await live(importer, job_id, step)
        await empty_unlogged_tables(database)
        await recover(importer, job_id)
        assert await state(importer, job_id) == clean, f"after a crash at step {step}"
