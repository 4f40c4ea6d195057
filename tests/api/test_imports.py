"""importManifest over HTTP: followed as it goes, and by real processes that are really killed."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from db import jobs
from db.ingest import imports, job_requests
from db.ingest.imports import Options
from db.ingest.imports.entries import Inspector
from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.api.test_worker_killed import worker
from tests.client import Client, serving, token
from tests.db import dataset_fixture
from tests.db.dataset_fixture import WORKER, DatasetFixture, image_bytes
from tests.waiting import TIMEOUT, wait_until

FILES = 3_000
CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
IMPORT = "mutation ($input: ImportManifestInput!) { importManifest(input: $input) { job { id } } }"
FOLLOW = """subscription ($id: ID!) { jobProgress(jobId: $id) { id status progress
    ... on ImportJob { readCount addedCount labeledCount skippedCount
        warnings(first: 5) { nodes { path message } } } } }"""


def fill(folder: Path, count: int) -> Path:
    """Images below `images`, and a manifest that names them all."""
    plain, lines = image_bytes("red"), []
    for number in range(count):
        path = folder / "images" / str(number // 500) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain + number.to_bytes(4, "big"))
        by = {"annotated-by": "human/ann/ann", "creation-time": "2019-02-12 17:54:44"}
        mark = {"name": f"label-{number % 7}", "type": "modelarts/image_classification", **by}
        lines.append(json.dumps({"source": str(path), "annotation": [mark] if number % 4 else []}))
    manifest = folder / "V001.manifest"
    manifest.write_text("\n".join([*lines, "no line"]) + "\n")
    return manifest


async def events(client: Client, query: str, **variables: Any) -> list[dict[str, Any]]:
    """The events of a subscription until it ends."""
    headers = client.headers | {"accept": "text/event-stream"}
    async with (
        httpx2.AsyncClient(base_url=client.url, timeout=TIMEOUT) as http,
        http.stream("POST", "/graphql", json={"query": query, "variables": variables}, headers=headers) as answer,
    ):
        return [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: {")]


@asynccontextmanager
async def importing(settings: Settings, database: Database, manifest: Path) -> AsyncIterator[tuple[Client, str, str]]:
    """A server with a client, a dataset of the images beside the manifest, and its import, which has just started."""
    async with serving(settings) as url:
        client = Client(url, await token(database))
        values = {"name": "moved", "inputPath": f"{manifest.parent}/images", "syncNow": False}
        dataset = (await client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"]
        requested = {"datasetId": dataset, "path": str(manifest)}
        job = (await client.execute(IMPORT, {"input": requested}))["importManifest"]["job"]["id"]
        yield client, dataset, job


async def test_an_import_is_followed_to_its_end(settings: Settings, database: Database, tmp_path: Path) -> None:
    manifest = fill(tmp_path, 600)
    async with importing(settings, database, manifest) as (client, _, job):
        updates = [event["data"]["jobProgress"] for event in await events(client, FOLLOW, id=job)]
    assert job.startswith("ImportJob:")
    last = updates[-1]
    assert (last["status"], last["progress"], last["readCount"]) == ("SUCCEEDED", 1, 601)
    assert (last["addedCount"], last["labeledCount"], last["skippedCount"]) == (600, 450, 1)
    assert [each["path"] for each in last["warnings"]["nodes"]] == ["V001.manifest:601"]
    progress = [each["progress"] or 0 for each in updates]
    assert progress == sorted(progress)


async def state(dataset: DatasetFixture, job_id: int) -> tuple[Any, ...]:
    counters = ("status", "scanned", "added", "updated", "labeled", "skipped")
    job = await dataset.job(job_id)
    return await dataset.labels(), [job[name] for name in counters], await dataset.warnings(job_id)


@pytest.mark.slow
async def test_an_import_killed_again_and_again_ends_as_a_clean_one(database: Database, tmp_path: Path) -> None:
    manifest = fill(tmp_path, FILES)

    async def begin() -> tuple[DatasetFixture, int]:
        dataset = await dataset_fixture.local(database, tmp_path / "images")
        dataset.root = tmp_path  # what the worker may read
        async with database.writing() as session:
            options = Options(path=str(manifest))
            return dataset, await job_requests.start(session, dataset.dataset_id, options, requested_by="ann")

    clean, clean_job = await begin()
    claim = await jobs.claim(database, WORKER)
    assert claim is not None
    await imports.run(database, claim, Stores(AllowedLocations((tmp_path,))))
    await jobs.finish(database, claim, "SUCCEEDED")
    dataset, job_id = await begin()

    async def gets_on() -> bool:
        job = await dataset.job(job_id)
        return bool(job["added"] > done or job["status"] == "SUCCEEDED")

    async def is_done() -> bool:
        return bool((await dataset.job(job_id))["status"] == "SUCCEEDED")

    for _ in range(2):
        done = (await dataset.job(job_id))["added"]
        async with worker(dataset) as process:
            await wait_until(gets_on)
            process.kill()
    async with worker(dataset):
        await wait_until(is_done)
    assert await state(dataset, job_id) == await state(clean, clean_job)
    assert len(await dataset.labels()) == FILES


async def test_an_import_that_is_cancelled_stops_and_keeps_what_it_has(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads five lots of lines, and no more until it is cancelled."""
    lots, inspect = itertools.count(1), Inspector.inspect

    async def gated(*arguments: Any) -> Any:
        if next(lots) > 5:
            await asyncio.Event().wait()
        return await inspect(*arguments)

    monkeypatch.setattr(Inspector, "inspect", gated)
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 20)
    manifest = fill(tmp_path, FILES)
    async with importing(settings, database, manifest) as (client, dataset, job):

        async def begun() -> bool:
            found = await client.execute(
                "query ($id: ID!) { node(id: $id) { ... on ImportJob { addedCount } } }", {"id": job}
            )
            return bool(found["node"]["addedCount"])

        await wait_until(begun)
        await client.execute("mutation ($id: ID!) { cancelJob(input: {jobId: $id}) { job { id } } }", {"id": job})
        async with asyncio.timeout(TIMEOUT):
            updates = await events(client, FOLLOW, id=job)
        found = await client.execute(
            "query ($id: ID!) { node(id: $id) { ... on Dataset { statistics { totalCount } activeJob { id } } } }",
            {"id": dataset},
        )
    last = updates[-1]["data"]["jobProgress"]
    assert last["status"] == "CANCELED"
    assert 0 < last["addedCount"] < FILES
    assert found["node"] == {"statistics": {"totalCount": last["addedCount"]}, "activeJob": None}
