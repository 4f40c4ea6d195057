"""A dataset in a bucket, behind a proxy that injects faults: a server with its worker, and a client of it."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from db.datasets import check
from db.postgres.engine import Database
from db.storage import S3Config
from db.storage.s3 import S3Store
from tests import s3
from tests.api.test_s3 import CREATE, configured
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import FaultProxy, fault_proxy, no_faults
from tests.waiting import TIMEOUT

FIRST, LAST = map(int, os.environ.get("LABELGRAPH_FAULT_SEEDS", "1:2").split(":"))
SEEDS = pytest.mark.parametrize("seed", range(FIRST, LAST))
NUMBERS = itertools.count()
JOBS = """query ($id: ID!) { node(id: $id) { ... on Dataset { jobs(first: 1) { nodes { id status error { code message }
    ... on SyncJob { scannedCount addedCount updatedCount removedCount movedCount skippedCount } } } } } }"""
SAMPLES = """query ($id: ID!, $after: String) { node(id: $id) { ... on Dataset {
    revision statistics { totalCount labeledCount }
    samples(orderBy: {field: PATH}, first: 100, after: $after) { pageInfo { hasNextPage endCursor }
        nodes { id path size labels { name } isSourceAvailable } } } } }"""
LABEL = """mutation ($input: LabelSamplesInput!) { labelSamples(input: $input) { changedCount } }"""
LATE = "UPDATE source_deletion SET retry_at = now(), created_at = now() - interval '1 min' WHERE finished_at IS NULL"


@dataclass(slots=True)
class UnreliableStorage:
    """`store` reaches the bucket directly; the server, and so the client, only through the proxy."""

    proxy: FaultProxy
    store: S3Store
    client: Client
    database: Database
    settings: Settings
    dataset: str
    jobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.dataset.partition(":")[2])

    async def put(self, path: str, data: bytes) -> None:
        """As a stranger would, over whatever is there."""
        await self.store.s3.client.put_object(Bucket=self.store.bucket, Key=self.store.prefix + path, Body=data)

    async def fill(self, files: dict[str, bytes]) -> None:
        await asyncio.gather(*(self.put(path, data) for path, data in files.items()))

    async def objects(self) -> dict[str, int]:
        """Sizes by path."""
        return {found.path: found.size async for page in self.store.pages() for found in page.objects}

    async def sync(self, **options: Any) -> dict[str, Any]:
        """A sync, to its end."""
        query = "mutation ($input: SyncDatasetInput!) { syncDataset(input: $input) { job { id } } }"
        await self.client.execute(query, {"input": {"datasetId": self.dataset} | options})
        return await self.ended()

    async def clean_sync(self) -> dict[str, Any]:
        """Without faults."""
        self.proxy.schedule = no_faults
        job = await self.sync()
        assert job["status"] == "SUCCEEDED", self.jobs
        return job

    async def ended(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT):
            while True:
                [job] = (await self.client.execute(JOBS, {"id": self.dataset}))["node"]["jobs"]["nodes"]
                if job["status"] not in ("QUEUED", "RUNNING"):
                    self.jobs.append(job)
                    return dict(job)
                await asyncio.sleep(0.05)

    async def samples(self, dataset: str | None = None) -> dict[str, dict[str, Any]]:
        """By path. Each page is a read of its own, so nothing may be writing."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            answer = await self.client.execute(SAMPLES, {"id": dataset or self.dataset, "after": after})
            samples = answer["node"]["samples"]
            found += samples["nodes"]
            after = samples["pageInfo"]["endCursor"]
            if not samples["pageInfo"]["hasNextPage"]:
                break
        by_path = {sample["path"]: sample for sample in found}
        assert len(by_path) == len({sample["id"] for sample in found}) == len(found), "a sample is doubled"
        return by_path

    async def labels(self, dataset: str | None = None) -> dict[str, list[str]]:
        """The working set at a glance."""
        samples = await self.samples(dataset)
        return {path: sorted(label["name"] for label in sample["labels"]) for path, sample in samples.items()}

    async def label(self, paths: Sequence[str], *names: str) -> None:
        samples = await self.samples()
        selection = {"ids": [samples[path]["id"] for path in paths]}
        values = {"datasetId": self.dataset, "select": selection, "labels": list(names), "mode": "SET"}
        await self.client.execute(LABEL, {"input": values | {"createMissing": True}})

    async def revision(self) -> int:
        found = await self.client.execute("query ($id: ID!) { node(id: $id) { ... on Dataset { revision } } }", self.me)
        return int(found["node"]["revision"])

    @property
    def me(self) -> dict[str, str]:
        return {"id": self.dataset}

    async def other(self) -> str:
        """A dataset of the same input path, synced once, without faults: what a clean run makes of it."""
        path = f"s3://{self.store.bucket}/{self.store.prefix}"
        values = {"name": f"clean-{next(NUMBERS)}", "inputPath": path}
        made = (await self.client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"]
        assert (await replace(self, dataset=made, jobs=[]).ended())["status"] == "SUCCEEDED"
        return str(made)

    async def deletions_end(self) -> None:
        """Without faults every file whose deletion was requested is gone before long."""
        self.proxy.schedule = no_faults
        async with asyncio.timeout(TIMEOUT):
            while await self.open_intents():
                await self.retry_at_once()
                await asyncio.sleep(0.2)

    async def open_intents(self) -> int:
        return int(await self.database.value("SELECT count(*) FROM source_deletion WHERE finished_at IS NULL"))

    async def holds(self) -> None:
        """What is true at all times, and what is true once faults end and a sync has run."""
        async with self.database.reading() as connection:
            assert await check.recount(connection, self.number) == []
        samples, objects = await self.samples(), await self.objects()
        assert {path for path in samples if path not in objects} == set(), "a sample without its object"
        images = {path for path in objects if path.endswith((".png", ".jpg"))}
        async with self.database.reading() as connection:
            known = {row["path"] for row in await connection.fetch(KNOWN, self.number)}
        assert images - known == set(), "an object that nobody knows"

    async def retry_at_once(self) -> None:
        async with self.database.writing() as session:
            await (await session.connection()).exec_driver_sql(LATE)


KNOWN = "SELECT path FROM source WHERE dataset_id = $1 AND status <> 'GONE'"


@asynccontextmanager
async def unreliable_storage(
    database_url: str, database: Database, folder: Path, endpoint: str
) -> AsyncIterator[UnreliableStorage]:
    bucket = f"unreliable-{next(NUMBERS)}"
    async with fault_proxy(endpoint) as between, s3.connected(endpoint, bucket) as opened:
        settings = configured(database_url, folder, between.endpoint)
        async with serving(settings) as url:
            client = Client(url, await token(database))
            values = {"name": "unreliable", "inputPath": f"s3://{bucket}/set/", "syncNow": False}
            made = await client.execute(CREATE, {"input": values})
            dataset = made["createDataset"]["dataset"]["id"]
            yield UnreliableStorage(between, S3Store(opened, bucket, "set/"), client, database, settings, dataset)


def images(prefix: str, number: int) -> dict[str, bytes]:
    """So many, each unlike all others."""
    return {f"{prefix}{index}.png": image_bytes() for index in range(number)}


small_pages = partial(S3Config, page=40)
