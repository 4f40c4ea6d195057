"""A dataset, a model behind HTTP, and its auto labelling jobs, for tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from db import jobs
from db.auto_labelling import http_client
from db.auto_labelling import job as auto_labelling
from db.auto_labelling.allowed import AllowedModels, ModelHost
from db.formats.decoding import Decoders
from db.jobs import runner
from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.db.model_backend import Backend, backend, choices, label_studio
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.waiting import TIMEOUT

JOB = """query ($id: ID!) { node(id: $id) { ... on AutoLabelJob { status progress error { code message } modelKind
    model { name modelVersion } minConfidence sampleCount readCount suggestedCount suggestedSampleCount keptCount
    rejectedBeforeCount skippedCount evaluation { accuracy sampleCount labels { name precision recall support }
        confusion { actual predicted count } thresholds { minConfidence share precision } }
    leftOutLabels { name } waitsFor warnings(first: 100) { nodes { path message count } } } } }"""
SAMPLES = """query ($id: ID!, $order: SampleOrderInput = {field: CREATED_AT, direction: ASC}) {
    dataset(by: {id: $id}) { samples(first: 100, orderBy: $order) { nodes {
        state annotations { label { name } confidence isConfirmed origin model { name modelVersion } } } } } }"""
Found = list[list[tuple[str, float | None]]]


@dataclass(slots=True)
class House:
    """A dataset of six samples, and a model behind HTTP. `answered`: what the model says of a sample, by its position;
    KeyError where it fails."""

    client: DatasetClient
    served: Backend
    answered: dict[int, Any]

    @property
    def database(self) -> Database:
        return self.client.direct.database

    def position(self, task: Any) -> int:
        return self.client.dataset_rows.samples.index(int(task["id"]))

    async def start(self, **input_: Any) -> str:
        model = {"http": {"url": self.served.url}}
        values = {"datasetId": self.client.dataset, "model": model} | input_
        return str((await self.client.mutate("startAutoLabeling", "job { id }", **values))["job"]["id"])

    async def work(self, stopping: asyncio.Event | None = None) -> runner.Outcome:
        """Run the job that is due, as a worker does."""
        claim = await jobs.claim(self.database, 7)
        assert claim is not None
        tools = auto_labelling.Tools(
            Stores(AllowedLocations((self.client.root.resolve(),))),
            cast(Decoders, None),
            b"secret",
            AllowedModels((ModelHost.parse(self.served.host),)),
            TIMEOUT,
        )

        async def work(job: jobs.Claim) -> None:
            await auto_labelling.run(self.database, job, tools)

        return await jobs.run(self.database, claim, work, stopping=stopping or asyncio.Event())

    async def labelled(self, **input_: Any) -> dict[str, Any]:
        job = await self.start(**input_)
        await self.work()
        return await self.job(job)

    async def label(self, name: str, *positions: int) -> None:
        select = {"ids": self.client.ids(*positions)}
        values: dict[str, Any] = {"datasetId": self.client.dataset, "select": select, "labels": [name]}
        await self.client.mutate("labelSamples", "changedCount", **values)

    async def job(self, id: str) -> dict[str, Any]:
        return dict((await self.client.direct.execute(JOB, {"id": id}))["node"])

    async def annotations(self) -> Sequence[Any]:
        data = await self.client.direct.execute(SAMPLES, {"id": self.client.dataset})
        return [node["annotations"] for node in data["dataset"]["samples"]["nodes"]]

    async def suggested(self) -> Found:
        """The labels that wait, with their confidences, of each sample."""
        return [
            [(each["label"]["name"], each["confidence"]) for each in annotations if not each["isConfirmed"]]
            for annotations in await self.annotations()
        ]


@asynccontextmanager
async def opened(database: Database, root: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> AsyncIterator[House]:
    """`more` is for the dataset."""
    monkeypatch.setattr(http_client, "PAUSES", (0.0, 0.0))
    client = await create_client(database, root, **more)
    answered: dict[int, Any] = {position: choices("dog", 0.9 + position / 100) for position in range(6)}
    rows = client.dataset_rows.samples
    async with backend(label_studio(lambda task: answered[rows.index(task["id"])])) as served:
        settings = client.direct.settings.with_changes(model_hosts=(served.host,))
        yield House(replace(client, direct=replace(client.direct, settings=settings)), served, answered)
