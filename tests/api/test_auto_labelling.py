"""Auto labelling over HTTP: models that fetch the images they are asked about, and a worker that is killed."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import web

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.test_exports import CREATE, ended
from tests.client import Client, serving, token
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.db.model_backend import backend, choices
from tests.snippets import snippets
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

START = "mutation ($input: StartAutoLabelingInput!) { startAutoLabeling(input: $input) { job { id } } }"
LABELS = "mutation ($input: CreateLabelsInput!) { createLabels(input: $input) { labels { id } } }"
JOB = """query ($id: ID!) { node(id: $id) { ... on AutoLabelJob { status progress suggestedCount error { code message }
    warnings(first: 10) { nodes { path message } } } } }"""
SAMPLES = """query ($id: ID!, $order: SampleOrderInput = {field: PATH}) { dataset(by: {id: $id}) {
    samples(first: 100, orderBy: $order) { nodes { path annotations { label { name } confidence } } } } }"""
[MODEL] = snippets("docs/auto-labelling.md", "python")


async def created(client: Client, root: Path, images: dict[str, bytes], *labels: str) -> str:
    folder = root / "in"
    folder.mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    made = (await client.execute(CREATE, {"input": {"name": "pets", "inputPath": str(folder)}}))["createDataset"]
    assert (await ended(client, made["job"]["id"]))["status"] == "SUCCEEDED"
    dataset = str(made["dataset"]["id"])
    named = [{"name": label} for label in labels]
    await client.execute(LABELS, {"input": {"datasetId": dataset, "labels": named}})
    return dataset


async def started(client: Client, dataset: str, url: str, **more: Any) -> str:
    input_ = {"datasetId": dataset, "model": {"http": {"url": url, **more}}}
    return str((await client.execute(START, {"input": input_}))["startAutoLabeling"]["job"]["id"])


async def suggested(client: Client, dataset: str) -> dict[str, list[str]]:
    nodes = (await client.execute(SAMPLES, {"id": dataset}))["dataset"]["samples"]["nodes"]
    return {node["path"]: [each["label"]["name"] for each in node["annotations"]] for node in nodes}


@pytest.fixture
def black_and_white() -> dict[str, bytes]:
    colors = {"a.png": "black", "b.png": "white", "c.png": "black"}
    return {name: image_bytes(color, form=name[-3:].upper()) for name, color in colors.items()}


async def test_a_label_studio_backend_fetches_the_images_and_suggests(
    settings: Settings, database: Database, tmp_path: Path, black_and_white: dict[str, bytes]
) -> None:
    async def predict(request: web.Request, body: Any) -> Any:
        if request.path != "/predict":
            return {"model_version": "1.0"}
        async with httpx2.AsyncClient() as http:
            fetched = [(await http.get(task["data"]["image"])).content for task in body["tasks"]]
        return {"results": [choices("night" if data == black_and_white["a.png"] else "day") for data in fetched]}

    async with backend(predict) as served, serving(settings.with_changes(model_hosts=(served.host,))) as url:
        client = Client(url, await token(database, name="ann"), TIMEOUT)
        dataset = await created(client, tmp_path, black_and_white, "day", "night")
        job = await started(client, dataset, served.url)
        assert (await ended(client, job))["status"] == "SUCCEEDED"
        assert await suggested(client, dataset) == {"a.png": ["night"], "b.png": ["day"], "c.png": ["night"]}
        found = (await client.execute(JOB, {"id": job}))["node"]
        assert (found["progress"], found["suggestedCount"], found["warnings"]["nodes"]) == (1, 3, [])


async def test_the_model_in_the_manual_answers(
    settings: Settings, database: Database, tmp_path: Path, black_and_white: dict[str, bytes]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", MODEL, str(port)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_until(lambda: _listens(port))
        async with serving(settings.with_changes(model_hosts=(f"127.0.0.1:{port}",))) as url:
            client = Client(url, await token(database), TIMEOUT)
            dataset = await created(client, tmp_path, black_and_white, "day", "night")
            job = await started(client, dataset, f"http://127.0.0.1:{port}/", protocol="LABELGRAPH")
            assert (await ended(client, job))["error"] is None
            assert await suggested(client, dataset) == {"a.png": ["night"], "b.png": ["day"], "c.png": ["night"]}
    finally:
        model.kill()
        await model.wait()


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


# A worker that writes after every two samples.
SMALL = """
import sys
from api.__main__ import main
from db.auto_labelling import http_models, job

http_models.BATCH = job.MAX_SAMPLES = 2
sys.exit(main())
"""


async def test_what_a_killed_worker_began_another_ends(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def predict(request: web.Request, body: Any) -> Any:
        if request.path != "/predict":
            return {}
        if len(served.samples) > 6:
            await gate.wait()
        return {"results": [choices("cat") for _ in body["tasks"]]}

    async with backend(predict) as served:
        both = settings.with_changes(model_hosts=(served.host,), worker=False)
        async with serving(settings) as url:  # syncs
            client = Client(url, await token(database), TIMEOUT)
            dataset = await created(client, tmp_path, {f"{at}.png": image_bytes() for at in range(10)}, "cat")
        async with serving(both) as url:
            client = Client(url, client.token, TIMEOUT)
            job = await started(client, dataset, served.url)
            first = await worker(both, tmp_path, "-c", SMALL)
            try:
                await wait_until(lambda: _has_suggested(client, job, 6))
            finally:
                first.kill()
                await first.wait()
            served.asked.clear()
            gate.set()
            second = await worker(both, tmp_path, "-m", "api")
            try:
                assert (await ended(client, job))["status"] == "SUCCEEDED"
            finally:
                second.kill()
                await second.wait()
            assert len(served.samples) == 4
            assert await suggested(client, dataset) == {f"{at}.png": ["cat"] for at in range(10)}
            assert (await client.execute(JOB, {"id": job}))["node"]["suggestedCount"] == 10


async def _has_suggested(client: Client, job: str, count: int) -> bool:
    return bool((await client.execute(JOB, {"id": job}))["node"]["suggestedCount"] >= count)


async def worker(settings: Settings, root: Path, *program: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "DATABASE_URL": str(settings.database_url),
        "LABELGRAPH_ALLOW_ROOT": str(root),
        "LABELGRAPH_DATA": str(root / "worker"),
        "LABELGRAPH_MODEL_HOSTS": ",".join(settings.model_hosts),
        **TIMEOUT_VARIABLES,
    }
    return await asyncio.create_subprocess_exec(sys.executable, *program, "worker", cwd=ROOT, env=environment)
