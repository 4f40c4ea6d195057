"""Worker processes that are killed or suspended during a sync of thousands of files."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from db.datasets import check
from db.ingest.sync.stages import BATCH
from db.postgres.engine import Database
from tests.api.test_worker import has, has_added
from tests.conftest import ROOT
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, image_bytes
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

FILES = 4_000
# A worker that reads two batches of images, and the next once the file that it is given exists.
GATED = """
import asyncio, itertools, pathlib, sys
from api.__main__ import main
from db.ingest.sync import stages

read, gate, batches = stages.inspect, pathlib.Path(sys.argv.pop(1)), itertools.count(1)

async def gated(*arguments, **named):
    while next(batches) > 2 and not gate.exists():
        await asyncio.sleep(0.02)
    return await read(*arguments, **named)

stages.inspect = gated
sys.exit(main())
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    plain = image_bytes("red")
    for index in range(FILES):
        folder = root / str(index // 100)
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.png").write_bytes(plain + index.to_bytes(4, "big"))
        if index % 4:
            (folder / f"{index}.txt").write_text(f"label-{index % 7}\n")
    (root / "bad.jpg").write_bytes(b"not an image")
    return root


@pytest.fixture
async def dataset(database: Database, images: Path) -> DatasetFixture:
    return await dataset_fixture.local(database, images)


@asynccontextmanager
async def worker(dataset: DatasetFixture, gate: Path | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m api worker`, killed at the end if it still lives."""
    environment = os.environ | {
        "DATABASE_URL": dataset.database.url,
        "LABELGRAPH_ALLOW_ROOT": str(dataset.root),
        **TIMEOUT_VARIABLES,
    }
    program = ("-m", "api") if gate is None else ("-c", GATED, str(gate))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *program, "worker"), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def final_state(dataset: DatasetFixture) -> tuple[object, ...]:
    async with dataset.database.reading() as connection:
        wrong = await check.recount(connection, dataset.dataset_id)
    [job] = await dataset.rows("SELECT id FROM job WHERE dataset_id = $1 ORDER BY id DESC LIMIT 1", dataset.dataset_id)
    return await dataset.labels(), await dataset.counts(job["id"]), await dataset.warnings(job["id"]), wrong


async def clean_run(dataset: DatasetFixture) -> tuple[object, ...]:
    other = await dataset_fixture.local(dataset.database, dataset.root or Path())
    await other.sync()
    return await final_state(other)


async def test_a_sync_killed_again_and_again_ends_as_a_clean_one(dataset: DatasetFixture) -> None:
    clean = await clean_run(dataset)
    job_id = await dataset.start()
    for _ in range(2):
        async with worker(dataset) as process:
            await wait_until(_progresses(dataset, job_id, (await dataset.job(job_id))["added"]))
            process.kill()
    async with worker(dataset):
        await wait_until(has(dataset, job_id, status="SUCCEEDED"))
    assert await final_state(dataset) == clean
    assert len(await dataset.labels()) == FILES


def _progresses(dataset: DatasetFixture, job_id: int, done: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        job = await dataset.job(job_id)
        return bool(job["added"] > done or job["status"] == "SUCCEEDED")

    return holds


async def test_a_living_worker_takes_over(dataset: DatasetFixture, tmp_path: Path) -> None:
    async with worker(dataset, tmp_path / "gate") as first:
        job_id = await dataset.start()
        await wait_until(has_added(dataset, job_id))
        async with worker(dataset) as second:
            first.kill()
            await first.wait()
            await wait_until(has(dataset, job_id, status="SUCCEEDED"))
            assert second.returncode is None
    assert (await dataset.counts(job_id))["added"] == FILES


async def test_a_worker_that_was_stopped_past_its_lease_writes_nothing_more(
    dataset: DatasetFixture, tmp_path: Path
) -> None:
    clean, gate = await clean_run(dataset), tmp_path / "gate"
    async with worker(dataset, gate) as first:
        job_id = await dataset.start()
        # Then it waits for the gate. Within a transaction it would keep its locks until Postgres ends its session.
        await wait_until(has(dataset, job_id, added=2 * BATCH))
        first.send_signal(signal.SIGSTOP)
        await dataset.do("UPDATE job SET heartbeat_at = now() - interval '16 s' WHERE id = $1", job_id)
        async with worker(dataset):
            await wait_until(has(dataset, job_id, status="SUCCEEDED"))
            before = await dataset.rows("SELECT xmin, id FROM sample ORDER BY id")
            gate.touch()
            first.send_signal(signal.SIGCONT)
            await _wait_for_log(first, "was taken over by another worker")
            assert await dataset.rows("SELECT xmin, id FROM sample ORDER BY id") == before
    assert await final_state(dataset) == clean


async def _wait_for_log(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(TIMEOUT):
        while text not in (line := (await process.stderr.readline()).decode()):
            assert line, "the worker ended"


async def test_a_worker_that_is_terminated_returns_its_job_to_the_queue(
    dataset: DatasetFixture, tmp_path: Path
) -> None:
    async with worker(dataset, tmp_path / "gate") as process:
        job_id = await dataset.start()
        await wait_until(has_added(dataset, job_id))
        process.terminate()
        assert await asyncio.wait_for(process.wait(), TIMEOUT) == 0
    job = await dataset.job(job_id)
    assert (job["status"], job["worker"]) == ("QUEUED", None)
