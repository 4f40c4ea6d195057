"""importAnnotations with real processes: killed in each phase, and cancelled while it reads."""

import asyncio
import io
import json
import os
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from db.formats.datasets.reading import Files, ReadOptions
from db.ingest import job_requests
from db.ingest.imports import Options, formats
from db.postgres.engine import Database
from tests.api.test_imports import CREATE, FOLLOW, events
from tests.api.test_worker_killed import worker
from tests.client import Client, serving, token
from tests.conftest import ROOT
from tests.db import dataset_fixture
from tests.db.annotation_import_fixture import AnnotationImports, counted
from tests.db.dataset_fixture import DatasetFixture, image_bytes
from tests.snippets import snippet
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

IMAGES = 1_200
IMPORT = "mutation ($input: ImportAnnotationsInput!) { importAnnotations(input: $input) { job { id } } }"
LABELS = "query ($id: ID!) { node(id: $id) { ... on Dataset { samples(first: 9) { nodes { labels { name } } } } } }"
CANCEL = "mutation ($id: ID!) { cancelJob(input: {jobId: $id}) { job { id } } }"
# A worker that comes as far as a phase, says so by a file, and waits to be killed.
GATED = """
import asyncio, pathlib, sys
from api.__main__ import main
from db.ingest.imports import records, stages

reached, phase = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1)

def gated(work, at):
    calls = iter(range(1_000))
    async def wait_before(*arguments, **named):
        if next(calls) == at:
            reached.touch()
            await asyncio.sleep(3_600)
        return await work(*arguments, **named)
    return wait_before

if phase == "reading":
    records._flush = gated(records._flush, 2)
elif phase == "matching":
    records._match = gated(records._match, 0)
else:
    stages.RecordInspector.inspect = gated(stages.RecordInspector.inspect, 7)
sys.exit(main())
"""


@asynccontextmanager
async def gated_worker(dataset: DatasetFixture, reached: Path, phase: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {
        "DATABASE_URL": dataset.database.url,
        "LABELGRAPH_ALLOW_ROOT": str(dataset.root),
        **TIMEOUT_VARIABLES,
    }
    program = (sys.executable, "-c", GATED, str(reached), phase, "worker")
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def fill(folder: Path) -> Path:
    plain = image_bytes("red")
    for number in range(IMAGES):
        path = folder / "images" / str(number // 500) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain + number.to_bytes(4, "big"))
    lines = (f"{number}.png,label-{number % 7}\n" for number in range(-5, 3 * IMAGES))
    file = folder / "labels.csv"
    file.write_text("path,label\n" + "".join(lines))
    return file


async def state(dataset: DatasetFixture, job_id: int) -> tuple[Any, ...]:
    job = await dataset.job(job_id)
    importer = AnnotationImports(dataset, Path())
    notices = {kind: count for kind, (count, _) in (await importer.notices(job)).items()}
    return await dataset.labels(), job["status"], counted(job), await dataset.changes(), notices


@pytest.mark.slow
async def test_an_import_killed_in_each_phase_ends_as_a_clean_one(database: Database, tmp_path: Path) -> None:
    file = fill(tmp_path)

    async def begin() -> tuple[DatasetFixture, int]:
        dataset = await dataset_fixture.local(database, tmp_path / "images")
        await dataset.sync()
        dataset.root = tmp_path  # what the worker may read
        async with database.writing() as session:
            options = Options(path=str(file), format=None)
            return dataset, await job_requests.start(session, dataset.dataset_id, options, requested_by="ann")

    async def end(dataset: DatasetFixture, job_id: int) -> tuple[Any, ...]:
        async def is_done() -> bool:
            return bool((await dataset.job(job_id))["status"] == "SUCCEEDED")

        async with worker(dataset):
            await wait_until(is_done)
        return await state(dataset, job_id)

    clean = await end(*await begin())
    assert clean[2]["updated"] == IMAGES
    for phase in ("reading", "matching", "merging"):
        dataset, job_id = await begin()
        reached = tmp_path / phase
        async with gated_worker(dataset, reached, phase) as process:
            await wait_until(reached.exists)
            process.kill()
        assert await end(dataset, job_id) == clean, phase


async def test_an_import_that_is_cancelled_while_it_reads_stops_and_so_does_its_thread(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader would read for ever, and never gives anything. The file is larger than what is buffered of it."""
    reading, stopped = threading.Event(), threading.Event()

    def endless(files: Files, _options: ReadOptions) -> Iterator[Any]:
        try:
            with files.open("labels.csv") as file:
                while True:
                    file.seek(0)
                    file.read()
                    reading.set()
                    yield from ()
        finally:
            stopped.set()

    monkeypatch.setattr(formats, "READERS", {"CSV": endless})
    (tmp_path / "images").mkdir()
    (tmp_path / "labels.csv").write_text("path,label\n" * 200_000)
    async with serving(settings) as url:
        client = Client(url, await token(database))
        values = {"name": "cats", "inputPath": str(tmp_path / "images"), "syncNow": False}
        dataset = (await client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"]
        requested = {"datasetId": dataset, "path": str(tmp_path / "labels.csv"), "format": "CSV"}
        job = (await client.execute(IMPORT, {"input": requested}))["importAnnotations"]["job"]["id"]
        await wait_until(reading.is_set)
        await client.execute(CANCEL, {"id": job})
        async with asyncio.timeout(TIMEOUT):
            updates = await events(client, FOLLOW, id=job)
        await wait_until(stopped.is_set)
    assert updates[-1]["data"]["jobProgress"]["status"] == "CANCELED"


async def test_the_script_of_the_manual_imports_an_archive(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "archive_in.py").write_text(snippet("docs/imports.md", '"""python archive_in.py').code)
    (tmp_path / "images").mkdir()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("cat/3.png", image_bytes())
    async with serving(settings) as url:
        secret = await token(database)
        client = Client(url, secret)
        values = {"name": "pets", "inputPath": str(tmp_path / "images"), "syncNow": False}
        dataset = (await client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"]
        given = (str(tmp_path / "archive_in.py"), url, secret, dataset, str(tmp_path / "set.zip"))
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", *given), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await run.communicate()
        assert run.returncode == 0
        job = printed.decode().strip()
        assert (await events(client, FOLLOW, id=job))[-1]["data"]["jobProgress"]["status"] == "SUCCEEDED"
    assert (tmp_path / "images" / "cat" / "3.png").exists()


async def test_a_file_is_uploaded_with_the_request_and_gone_after_the_import(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(image_bytes())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.csv", "path,label\n1.png,dog\n")
    files = {
        "labels.csv": b"path,label\n1.png,cat\n",
        "labels.zip": packed.getvalue(),
        "V1.manifest": b'{"source": ""}',
    }
    limits = settings.limits.with_changes(upload_file=1_000)
    async with serving(settings.with_changes(limits=limits)) as url:
        client = Client(url, await token(database))
        values = {"name": "pets", "inputPath": str(tmp_path / "images"), "syncNow": False}
        dataset = (await client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"]

        async def send(name: str, data: bytes, **more: Any) -> dict[str, Any]:
            variables = {"input": {"datasetId": dataset, "upload": None, "existing": "OVERWRITE"} | more}
            operations = json.dumps({"query": IMPORT, "variables": variables})
            fields = {"operations": operations, "map": json.dumps({"0": ["variables.input.upload"]})}
            headers = {"graphql-require-preflight": "true"}
            response = await client.request(data=fields, files=[("0", (name, data))], headers=headers)
            return response.json()  # type: ignore[no-any-return]

        ends = {}
        for name, data in files.items():
            job = (await send(name, data))["data"]["importAnnotations"]["job"]["id"]
            last = (await events(client, FOLLOW, id=job))[-1]["data"]["jobProgress"]
            nodes = (await client.execute(LABELS, {"id": dataset}))["node"]["samples"]["nodes"]
            ends[name] = last["status"], [label["name"] for node in nodes for label in node["labels"]]
        assert ends == {
            "labels.csv": ("SUCCEEDED", ["cat"]),
            "labels.zip": ("SUCCEEDED", ["dog"]),
            "V1.manifest": ("FAILED", ["dog"]),
        }
        for refused in (await send("labels.csv", b"x" * 1_001), await send("labels.csv", b"x", path="/labels.csv")):
            assert refused["errors"][0]["extensions"]["code"] in ("FILE_TOO_LARGE", "VALIDATION_FAILED")
    assert await database.value("SELECT count(*) FROM import_file") == 0
