"""Syncs of a directory: the first one, and one that finds nothing changed."""

import asyncio
from datetime import datetime
from itertools import count
from typing import Final

from benchmarks import pictures
from benchmarks.arena import opened
from benchmarks.hand import SQL
from benchmarks.load import Server
from benchmarks.runner import Bench, Measure, Row

CREATE: Final = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
SYNC: Final = "mutation ($input: SyncDatasetInput!) { syncDataset(input: $input) { job { id } } }"
JOB: Final = "query ($id: ID!) { node(id: $id) { ... on SyncJob { status createdAt finishedAt } } }"
POLL: Final = 0.1  # seconds


async def run(bench: Bench) -> None:
    files = bench.rows // 10
    folder = bench.data / f"files_{files}"
    pictures.write_small(folder, files)
    async with opened(bench, "--allow-root", str(folder)) as arena:
        numbers, datasets = count(), [""]

        async def create() -> None:
            """A dataset without samples, on both sides."""
            datasets[0] = await create_dataset(arena.ours, f"sync-{next(numbers)}", str(folder))
            await arena.control.execute(SQL.follow_datasets)

        async def ours() -> Measure:
            return await sync(arena.ours, datasets[0])

        async def by_hand() -> Measure:
            dataset = int(datasets[0].partition(":")[2])
            return await arena.by_hand("/sync", dataset=dataset, folder=str(folder))

        others, others_by_hand = arena.readers()
        sides = (
            arena.sized("public", others.during(ours), samples=files),
            arena.sized("hand", others_by_hand.during(by_hand), samples=files),
        )
        await bench.run(
            Row(f"the first sync, {files:,} files", "s", *sides, goal=0.8, before=create),
            others.row("others during the first sync, p99"),
            Row(f"a sync, nothing changed, {files:,} files", "s", *sides, goal=0.6, before=arena.expect_equal),
            others.row("others during a sync, p99"),
        )


async def create_dataset(server: Server, name: str, folder: str) -> str:
    """Its id. It has no samples yet."""
    _, payload = await server.mutate(CREATE, name=name, inputPath=folder, syncNow=False)
    id: str = payload["dataset"]["id"]
    return id


async def sync(server: Server, dataset_id: str) -> Measure:
    """From the request to the end of the job."""
    _, payload = await server.mutate(SYNC, datasetId=dataset_id)
    request = server.graphql(JOB, {"id": payload["job"]["id"]})
    while (job := (await server.ask(request))["node"])["finishedAt"] is None:  # noqa: ASYNC110 (a job is polled)
        await asyncio.sleep(POLL)
    if job["status"] != "SUCCEEDED":
        raise SystemExit(f"The sync ended as {job['status']}.")
    created, finished = (datetime.fromisoformat(job[name]) for name in ("createdAt", "finishedAt"))
    return Measure(1, (finished - created).total_seconds())
