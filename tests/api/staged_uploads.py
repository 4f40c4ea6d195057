"""A script that puts its files into storage itself, and the dataset that they are for."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from db import jobs
from db.ingest import job_requests, sync
from db.ingest.uploads.files import STAGING
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import LocalStore, Store
from db.storage.s3 import S3Store
from tests import s3
from tests.api.test_s3 import configured
from tests.api.uploads.upload_client import CREATE, NUMBERS
from tests.client import Client, serving, token
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT

REQUEST = """mutation ($input: RequestUploadsInput!) { requestUploads(input: $input) {
    results { key fileName path url method headers { name value } expiresAt
              sample { id path } error { code message } }
    dataset { revision statistics { totalCount } } } }"""
COMPLETE = """mutation ($input: CompleteUploadsInput!) { completeUploads(input: $input) {
    results { key fileName error { code message }
              sample { id path fileName size width height format state labels { name } revision imageUrl } }
    change { kind summary revision }
    dataset { revision statistics { totalCount labeledCount unlabeledCount }
    labels { name sampleCount annotationCount } } } }"""


@dataclass(frozen=True, slots=True)
class StagedUploads:
    """`kind`: where the bytes go: a directory, a bucket, or a bucket through this server."""

    kind: str
    client: Client
    store: Store
    settings: Settings
    database: Database
    dataset: str

    @property
    def number(self) -> int:
        return int(self.dataset.partition(":")[2])

    async def answer(self, query: str, key: str | None = None, **input: Any) -> dict[str, Any]:
        headers = {"idempotency-key": key} if key else {}
        values = {"input": {"datasetId": self.dataset} | input}
        response = await self.client.post(query, values, headers=headers, timeout=60)
        return dict(response.json())

    async def request(self, *files: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        answer = await self.answer(REQUEST, files=list(files), **more)
        assert "errors" not in answer, answer
        return list(answer["data"]["requestUploads"]["results"])

    async def refused(self, *files: dict[str, Any], **more: Any) -> list[str | None]:
        """The codes of the tickets."""
        requested = await self.request(*files, **more)
        for upload in requested:
            reported = [upload[name] is not None for name in ("url", "sample", "error")]
            assert sum(reported) == 1, upload
        return [upload["error"] and upload["error"]["code"] for upload in requested]

    async def put(self, upload: dict[str, Any], data: bytes) -> httpx2.Response:
        """As any client of HTTP does it, without a token."""
        headers = {header["name"]: header["value"] for header in upload["headers"]}
        async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
            return await http.request(upload["method"], upload["url"], content=data, headers=headers)

    async def sent(self, files: dict[str, bytes], **more: Any) -> list[str]:
        """Requested and put, each under its name as its key; the keys."""
        requested = await self.request(*(upload_input(name, data) for name, data in files.items()), **more)
        for upload, data in zip(requested, files.values(), strict=True):
            assert upload["error"] is None, upload
            assert (await self.put(upload, data)).status_code == 200
        return list(files)

    async def complete(self, *keys: str) -> dict[str, Any]:
        answer = await self.answer(COMPLETE, keys=list(keys))
        assert "errors" not in answer, answer
        return dict(answer["data"]["completeUploads"])

    async def codes(self, *keys: str) -> list[str | None]:
        """For each key its error's code, None where there is none."""
        results = (await self.complete(*keys))["results"]
        assert all((result["sample"] is None) == (result["error"] is not None) for result in results)
        return [result["error"] and result["error"]["code"] for result in results]

    async def listed(self) -> list[str]:
        """What is in the input path, apart from what is staged."""
        return sorted(path for path in await self.everything() if not path.startswith(STAGING))

    async def staged(self) -> int:
        return sum(path.startswith(STAGING) for path in await self.everything())

    async def everything(self) -> list[str]:
        return [found.path async for page in self.store.pages() for found in page.objects]

    async def paths(self) -> list[str]:
        """Of the samples, in the database."""
        async with self.database.reading() as connection:
            rows = await connection.fetch("SELECT path FROM sample WHERE dataset_id = $1 ORDER BY path", self.number)
        return [row["path"] for row in rows]

    async def sync(self) -> tuple[int, ...]:
        """A sync's counts of what it added, updated, removed, moved and skipped."""
        async with self.database.writing() as session:
            job = await job_requests.start(session, self.number, sync.Options(), requested_by="ann")
        claim = await jobs.claim(self.database, 7)
        assert claim is not None
        await sync.run(self.database, claim, self.store)
        await jobs.finish(self.database, claim, "SUCCEEDED")
        counts = "SELECT added, updated, removed, moved, skipped FROM job WHERE id = $1"
        async with self.database.reading() as connection:
            return tuple(await connection.fetchrow(counts, job) or ())

    async def do(self, statement: str, *arguments: Any) -> None:
        async with self.database.writing() as session:
            await (await sql.connection_of(session)).execute(statement, *arguments)


def upload_input(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"key": name, "fileName": name, "size": len(data)} | more


async def all_of(works: Iterable[Any]) -> list[Any]:
    return list(await asyncio.gather(*works))


@asynccontextmanager
async def open_staged_uploads(
    kind: str, request: pytest.FixtureRequest, database: Database, url: str, folder: Path
) -> AsyncIterator[StagedUploads]:
    if kind == "local":
        root = folder / "in"
        root.mkdir()
        settings = Settings(
            database_url=url, timeouts=SERVER_TIMEOUTS, data_dir=folder / "data", allowed_roots=(folder,), worker=False
        )
        async with _create_dataset(kind, settings, LocalStore(root), str(root), database) as script:
            yield script
        return
    endpoint, bucket = request.getfixturevalue("s3_endpoint"), f"direct-{next(NUMBERS)}"
    async with s3.connected(endpoint, bucket) as opened:
        settings = configured(url, folder, endpoint, links=kind == "s3").with_changes(worker=False)
        store = S3Store(opened, bucket, "in/")
        async with _create_dataset(kind, settings, store, f"s3://{bucket}/in/", database) as script:
            yield script


@asynccontextmanager
async def _create_dataset(
    kind: str, settings: Settings, store: Store, path: str, database: Database
) -> AsyncIterator[StagedUploads]:
    async with serving(settings) as address:
        client = Client(address, await token(database))
        values = {"name": f"d{next(NUMBERS)}", "inputPath": path, "syncNow": False}
        labels = [{"name": "cat"}, {"name": "dog"}]
        made = await client.execute(CREATE, {"input": values | {"labels": labels}})
        yield StagedUploads(kind, client, store, settings, database, made["createDataset"]["dataset"]["id"])
