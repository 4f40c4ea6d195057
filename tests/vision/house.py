"""A server with a worker that can look at images, and a dataset, for tests of auto labelling."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.settings import Settings
from db.postgres.engine import Database
from tests.client import Client, serving, token
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT, wait_until

CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } job { id } } }"
LABEL = "mutation ($input: LabelSamplesInput!) { labelSamples(input: $input) { changedCount } }"
START = "mutation ($input: StartAutoLabelingInput!) { startAutoLabeling(input: $input) { job { id } } }"
JOB = """query ($id: ID!) { node(id: $id) { ... on Job { status error { code message } } ... on AutoLabelJob {
    model { name modelVersion } readCount suggestedCount keptCount skippedCount sampleCount
    leftOutLabels { name sampleCount label { id } } warnings { nodes { path message } }
    evaluation { accuracy sampleCount labels { name precision recall support label { name } }
        confusion { actual predicted count } thresholds { minConfidence share precision } } } } }"""
SAMPLES = """query ($id: ID!) { dataset(by: {id: $id}) { samples(first: 100, orderBy: {field: PATH}) {
    nodes { path annotations { label { name } isConfirmed confidence } } } } }"""


@dataclass(frozen=True, slots=True)
class House:
    client: Client
    dataset: str
    folder: Path

    async def label(self, paths: list[str], label: str) -> None:
        input_ = {"datasetId": self.dataset, "select": {"paths": paths}, "labels": [label], "createMissing": True}
        await self.client.execute(LABEL, {"input": input_})

    async def work(self, **more: Any) -> dict[str, Any]:
        """An auto labelling, to its end."""
        input_ = {"datasetId": self.dataset, "model": {"builtIn": True}, "minConfidence": 0, **more}
        return await self.ended((await self.client.execute(START, {"input": input_}))["startAutoLabeling"]["job"]["id"])

    async def ended(self, job: str) -> dict[str, Any]:
        async def has_ended() -> bool:
            node = (await self.client.execute(JOB, {"id": job}))["node"]
            return node["status"] not in ("QUEUED", "RUNNING")

        await wait_until(has_ended)
        return dict((await self.client.execute(JOB, {"id": job}))["node"])

    async def suggested(self) -> dict[str, list[str]]:
        nodes = (await self.client.execute(SAMPLES, {"id": self.dataset}))["dataset"]["samples"]["nodes"]
        waiting = {
            node["path"]: [each["label"]["name"] for each in node["annotations"] if not each["isConfirmed"]]
            for node in nodes
        }
        return {path: names for path, names in waiting.items() if names}


@asynccontextmanager
async def opened(database: Database, root: Path, folder: Path, **more: Any) -> AsyncIterator[House]:
    """A dataset of the images in a folder, synced. ONNX models are allowed below `models`."""
    settings = Settings(
        database_url=database.url,
        timeouts=SERVER_TIMEOUTS,
        data_dir=root / "data",
        allowed_roots=(root.resolve(),),
        model_folders=(root.resolve() / "models",),
    )
    async with serving(settings) as url:
        client = Client(url, await token(database, name="ann"), TIMEOUT)
        input_ = {"name": "digits", "inputPath": str(folder), **more}
        made = (await client.execute(CREATE, {"input": input_}))["createDataset"]
        house = House(client, made["dataset"]["id"], folder)
        assert (await house.ended(made["job"]["id"]))["status"] == "SUCCEEDED"
        yield house
