"""Postgres killed under a worker: jobs go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api import worker
from api.settings import Settings
from db import jobs
from db.ingest import sync
from db.jobs import Claim, queue
from db.postgres.engine import Database
from tests.api.database_lost.embedded_server import all_jobs_are, codes, create_with_retries, embedded_server, is_ready
from tests.conftest import execute
from tests.waiting import TIMEOUT, wait_until

SYNC = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
JOB = "query ($id: ID!) { node(id: $id) { ... on SyncJob { status } } }"


@pytest.mark.slow
async def test_jobs_go_on_however_often_postgres_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with embedded_server(tmp_path) as server:
        for number in range(6):
            await server.create(f"d{number}", 40)
        for number in range(12):
            await server.kill()
            if number % 3:  # else the next kill meets it in the middle of everything
                await wait_until(is_ready(server))
            if number < 6:
                async with asyncio.timeout(TIMEOUT):
                    await create_with_retries(server, f"late{number}")
        await wait_until(all_jobs_are(server, "SUCCEEDED", 12))
        await wait_until(is_ready(server))
    assert "internal error" not in caplog.text
    assert "reference" not in caplog.text


@pytest.mark.slow
async def test_a_job_that_kills_postgres_each_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LONGEST_RETRY", worker.RETRY)
    async with embedded_server(tmp_path) as server:
        started_runs, run = 0, sync.run

        async def kills(database: Database, job: Claim, *arguments: Any) -> None:
            nonlocal started_runs
            if job.dataset_id != fatal:
                await run(database, job, *arguments)
                return
            started_runs += 1
            async with database.reading() as connection:
                await asyncio.gather(connection.execute("SELECT pg_sleep(3600)"), server.kill())

        monkeypatch.setattr(sync, "run", kills)
        monkeypatch.setattr(queue, "MAX_CLAIMS", 6)
        pets = await server.create("pets", 0, sync=False)
        fatal = int(pets.partition(":")[2])
        started = await server.client.execute(SYNC, {"id": pets})
        job = started["syncDataset"]["job"]["id"]

        async def given_up() -> bool:
            answer = (await server.client.post(JOB, {"id": job})).json()
            if not answer.get("data"):
                assert codes(answer) == {"UNAVAILABLE"}
                return False
            return bool(answer["data"]["node"]["status"] == "FAILED")

        await wait_until(given_up)
        assert started_runs == 6
        await create_with_retries(server, "others")


@pytest.mark.parametrize(
    "error", [asyncpg.InternalClientError("got result for unknown protocol state 3"), ZeroDivisionError()]
)
async def test_a_worker_that_fails_in_any_way_starts_again(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    attempts, register_worker = 0, jobs.register_worker

    @asynccontextmanager
    async def fails_twice(connection: asyncpg.Connection, *abilities: Any) -> AsyncIterator[int]:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise error
        async with register_worker(connection, *abilities) as number:
            yield number

    monkeypatch.setattr(jobs, "register_worker", fails_twice)
    monkeypatch.setattr(worker, "RETRY", 0.01)
    stop, pulse = asyncio.Event(), worker.Pulse(last=float("-inf"))
    settings = Settings(data_dir=tmp_path, database_url=database.url, jobs=1)
    working = asyncio.create_task(worker.run(database, settings, stop=stop, pulse=pulse))
    await wait_until(lambda: pulse.is_alive)
    stop.set()
    await working
    assert attempts >= 3
    assert caplog.text.count("starts again") == 2


async def test_readyz_says_that_the_worker_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENCE", 3.0)
    async with embedded_server(tmp_path) as server:
        await wait_until(is_ready(server))
        await execute(server.database.url, "ALTER TABLE job RENAME COLUMN due_at TO elsewhere")

        async def says_worker() -> bool:
            response = await server.client.request("GET", "/readyz")
            return response.status_code == 503 and response.json()["reason"] == "worker"

        await wait_until(says_worker)
        await execute(server.database.url, "ALTER TABLE job RENAME COLUMN elsewhere TO due_at")
        await wait_until(is_ready(server))
        await server.create("pets", 3)
        await wait_until(all_jobs_are(server, "SUCCEEDED", 1))
