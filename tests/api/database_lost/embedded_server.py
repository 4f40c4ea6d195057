"""A server with a worker, on an embedded Postgres of its own that tests kill and stop."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from api import embedded_postgres
from api.embedded_postgres import supervisor
from api.settings import Settings
from db.postgres import engine, migrations
from db.postgres.engine import Database
from tests.client import Client, Failed, serving, token
from tests.conftest import FAST
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT, wait_until

SAFE = FAST | {"synchronous_commit": "on"}  # what is committed survives a killed process, if not a killed machine
CREATE = """mutation ($name: String!, $path: String!, $sync: Boolean!) {
    createDataset(input: {name: $name, inputPath: $path, syncNow: $sync}) { dataset { id } job { id } } }"""
JOBS = "{ datasets(first: 50) { nodes { jobs { nodes { status error { code message } } } } } }"
LABEL = """mutation ($id: ID!, $name: String!) {
    createLabels(input: {datasetId: $id, labels: [{name: $name}]}) { labels { name } } }"""
LABELS = "query ($id: ID!) { dataset(by: {id: $id}) { labels { name } } }"


async def request_label(client: Client, dataset: str, name: str) -> httpx2.Response:
    return await client.post(LABEL, {"id": dataset, "name": name}, headers={"idempotency-key": f"label-{name}"})


async def create_label(client: Client, dataset: str, name: str) -> None:
    answer = (await request_label(client, dataset, name)).json()
    assert answer == {"data": {"createLabels": {"labels": [{"name": name}]}}}


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server with a worker, on an embedded Postgres of its own."""

    client: Client
    database: Database
    data_dir: Path
    images: Path

    @property
    def postmaster(self) -> int:
        """The number of the running Postgres, 0 while there is none."""
        return supervisor.server(self.data_dir / "postgres" / "cluster") or 0

    def processes(self) -> list[int]:
        """Postgres with all its children."""
        cluster = self.data_dir / "postgres" / "cluster"
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and (entry / "cwd").samefile(cluster):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    async def kill(self) -> None:
        """`kill -9`, and nothing more: until another one takes connections."""
        killed = self.postmaster
        assert killed
        os.kill(killed, signal.SIGKILL)
        await wait_until(lambda: self.postmaster not in (0, killed))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Postgres is there, and does nothing."""
        processes = self.processes()
        assert processes
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    async def create(self, name: str, images: int, *, sync: bool = True) -> str:
        folder = self.images / name
        folder.mkdir(exist_ok=True)
        for number in range(images):
            (folder / f"{number}.png").write_bytes(image_bytes())
        values = {"name": name, "path": str(folder), "sync": sync}
        created = await self.client.execute(CREATE, values, headers={"idempotency-key": name})
        return str(created["createDataset"]["dataset"]["id"])


@asynccontextmanager
async def embedded_server(folder: Path, **settings: Any) -> AsyncIterator[EmbeddedServer]:
    images = folder / "images"
    images.mkdir()
    async with embedded_postgres.postgres(folder, options=SAFE) as url:
        await migrations.upgrade(url)
        ready = Settings(database_url=url, data_dir=folder, allowed_roots=(images,), **settings)
        async with engine.connect(url) as database:
            text = await token(database)
            async with serving(ready) as served:
                yield EmbeddedServer(Client(served, text, TIMEOUT), database, folder, images)


def is_ready(server: EmbeddedServer) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await server.client.request("GET", "/readyz")).status_code == 200

    return check


def all_jobs_are(server: EmbeddedServer, status: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        answer = (await server.client.post(JOBS)).json()
        if not answer.get("data"):
            assert codes(answer) == {"UNAVAILABLE"}
            return False
        found = [job for dataset in answer["data"]["datasets"]["nodes"] for job in dataset["jobs"]["nodes"]]
        assert all(job["error"] is None for job in found), found
        return [job["status"] for job in found] == [status] * count

    return check


def codes(answer: dict[str, Any]) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


async def create_with_retries(server: EmbeddedServer, name: str) -> None:
    """As a client does: again with the same key, until it is answered."""
    while True:
        try:
            await server.create(name, 5)
        except Failed as failed:
            if set(failed.codes) != {"UNAVAILABLE"}:
                raise
            await asyncio.sleep(0.1)
        else:
            return
