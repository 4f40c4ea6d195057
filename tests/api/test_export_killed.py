"""A worker process that is killed in the middle of an export: another one finishes it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from db.exports import requests
from db.postgres.engine import Database
from tests.conftest import ROOT
from tests.db.export_fixture import ExportHouse, local_house
from tests.db.test_exports import small
from tests.waiting import TIMEOUT_VARIABLES, wait_until

IMAGES = 60
FILES = {"COCO": 3_000, "WEBDATASET": 20_000, "PARQUET": 1_000, "HUGGING_FACE": 3_000}  # bytes
# A worker that reads some images at a time, and behind the third time nothing more, until it is killed.
GATED = """
import asyncio, itertools, sys
from api.__main__ import main
from db.exports import images

images.READ_FILES, read, batches = 8, images.Images.read, itertools.count(1)

async def gated(*arguments):
    while next(batches) > 4:
        await asyncio.Event().wait()
    return await read(*arguments)

images.Images.read = gated
sys.exit(main())
"""


@pytest.mark.parametrize("format_", FILES)
async def test_what_a_killed_worker_began_another_ends_byte_by_byte(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setattr(requests, "MIN_FILE", 1)
    house = local_house(database, tmp_path)
    dataset = await small(house, *(f"{number:02}.png" for number in range(IMAGES)))
    await house.label(dataset, "cat", *(f"{number:02}.png" for number in range(2, IMAGES - 15, 3)))
    await house.do("UPDATE sample SET usage = CASE WHEN path < '45' THEN 'TRAIN' ELSE 'EVAL' END")
    options: dict[str, Any] = {"images": "INCLUDED", "max_file_bytes": FILES[format_]}
    undisturbed = await house.request(dataset, format_, **options)
    await house.work(undisturbed)

    job = await house.request(dataset, format_, **options)
    first = await worker(house, tmp_path, "-c", GATED)
    try:
        await wait_until(lambda: has_files(house, job))
    finally:
        first.kill()
        await first.wait()
    written = await house.rows("SELECT path, size, sha256 FROM export_file WHERE job_id = $1 ORDER BY id", job)
    await house.do("UPDATE job SET heartbeat_at = now() - interval '16 s' WHERE id = $1", job)
    second = await worker(house, tmp_path, "-m", "api")
    try:
        await wait_until(lambda: has_succeeded(house, job))
    finally:
        second.kill()
        await second.wait()
    files = await house.files(job)
    assert files == await house.files(undisturbed)
    assert len(files) > len(written) > 0
    both = [await house.rows(f"SELECT {SUMMARY} FROM export WHERE job_id = $1", each) for each in (undisturbed, job)]
    assert both[0] == both[1]
    assert await house.warnings(job) == await house.warnings(undisturbed)


SUMMARY = "image_count, annotation_count, left_out_count, missing_count, total_size"


async def worker(house: ExportHouse, root: Path, *program: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "DATABASE_URL": house.database.url,
        "LABELGRAPH_ALLOW_ROOT": str(root),
        "LABELGRAPH_DATA_DIR": str(root / "spool"),
        **TIMEOUT_VARIABLES,
    }
    return await asyncio.create_subprocess_exec(sys.executable, *program, "worker", cwd=ROOT, env=environment)


async def has_files(house: ExportHouse, job: int) -> bool:
    return bool(await house.rows("SELECT FROM export_file WHERE job_id = $1", job))


async def has_succeeded(house: ExportHouse, job: int) -> bool:
    [row] = await house.rows("SELECT status, error_message FROM job WHERE id = $1", job)
    assert row["status"] not in ("FAILED", "CANCELED"), row["error_message"]
    return bool(row["status"] == "SUCCEEDED")
