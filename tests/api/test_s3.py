"""The main job with images in a bucket, over HTTP, against a server that speaks S3."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api import settings as api_settings
from api.settings import Settings
from db.postgres.engine import Database
from db.storage.s3 import S3Store
from tests import s3
from tests.client import Client, Failed, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT

BUCKETS = itertools.count()
CELLS = Path(__file__).parents[2] / "examples" / "cells"
LABELS = "query ($id: ID!) { node(id: $id) { ... on Dataset { labels { name annotationCount } } } }"
CREATE = """mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id inputPath } } }"""
JOBS = """query ($id: ID!) { node(id: $id) { ... on Dataset { jobs(first: 1) { nodes {
    status error { code message } ... on SyncJob { scannedCount addedCount removedCount skippedCount } } } } } }"""
SAMPLES = """query ($id: ID!) { node(id: $id) { ... on Dataset { samples(orderBy: {field: PATH}) { nodes {
    id path width height format labels { name } imageUrl originalUrl thumbnailUrl } } } } }"""
SYNC = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
DELETE = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
    deletedSampleCount deletedSourceCount failedSources { path message } } }"""


@dataclass(frozen=True, slots=True)
class Cloud:
    """A bucket, a server that may use it, and a client of that server."""

    store: S3Store
    client: Client
    settings: Settings

    async def dataset(self, path: str | None = None, **more: Any) -> str:
        path = path or f"s3://{self.store.bucket}/{self.store.prefix}"
        values = {"name": f"cloud-{next(BUCKETS)}", "inputPath": path} | more
        made = await self.client.execute(CREATE, {"input": values})
        return str(made["createDataset"]["dataset"]["id"])

    async def synced(self, dataset: str) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT):
            while True:
                [job] = (await self.client.execute(JOBS, {"id": dataset}))["node"]["jobs"]["nodes"]
                if job["status"] not in ("QUEUED", "RUNNING"):
                    return dict(job)
                await asyncio.sleep(0.1)

    async def samples(self, dataset: str) -> list[dict[str, Any]]:
        found = await self.client.execute(SAMPLES, {"id": dataset})
        return list(found["node"]["samples"]["nodes"])


def configured(database_url: str, folder: Path, endpoint: str, **more: Any) -> Settings:
    given = {"endpoint": endpoint, "access_key": "test", "secret_key": "planted-secret", "addressing": "path"}
    patient = {"read": TIMEOUT, "deadline": TIMEOUT}
    s3 = api_settings.S3(**given | patient | more)
    return Settings(database_url=database_url, data_dir=folder, timeouts=SERVER_TIMEOUTS, s3=s3)


@pytest.fixture
async def cloud(database_url: str, database: Database, tmp_path: Path, s3_endpoint: str) -> AsyncIterator[Cloud]:
    bucket = f"cloud-{next(BUCKETS)}"
    settings = configured(database_url, tmp_path, s3_endpoint)
    async with s3.connected(s3_endpoint, bucket, page=2) as opened, serving(settings) as url:
        yield Cloud(S3Store(opened, bucket, "set one/"), Client(url, await token(database)), settings)


async def test_a_bucket_becomes_a_dataset(cloud: Cloud) -> None:
    await cloud.store.write("a/1.JPG", image_bytes(form="JPEG", size=(30, 20)))
    await cloud.store.write("a/1.txt", b"cat\ndog\n")
    await cloud.store.write("2.png", image_bytes(size=(9, 7)))
    await cloud.store.write("notes.md", b"no image")
    dataset = await cloud.dataset()
    job = await cloud.synced(dataset)
    assert (job["status"], job["addedCount"], job["scannedCount"], job["error"]) == ("SUCCEEDED", 2, 4, None)
    second, first = await cloud.samples(dataset)
    assert (first["path"], first["width"], first["height"], first["format"]) == ("a/1.JPG", 30, 20, "JPEG")
    assert [label["name"] for label in first["labels"]] == ["cat", "dog"]
    assert second["path"] == "2.png"


async def test_boxes_beside_images_in_a_bucket_are_read(cloud: Cloud) -> None:
    for path in sorted(CELLS.glob("*_0000[0-2].*")):
        await cloud.store.write(path.name, path.read_bytes())
    await cloud.store.write("ignored.txt", b"cat")
    dataset = await cloud.dataset(type="OBJECT_DETECTION")
    job = await cloud.synced(dataset)
    assert (job["status"], job["addedCount"], job["scannedCount"]) == ("SUCCEEDED", 3, 7)
    labels = (await cloud.client.execute(LABELS, {"id": dataset}))["node"]["labels"]
    result = {label["name"]: label["annotationCount"] for label in labels}
    text = "".join(path.read_text() for path in CELLS.glob("*_0000[0-2].xml"))
    assert result == {name: text.count(f"<name>{name}<") for name in ("RBC", "WBC")}


async def test_browsers_get_images_from_the_bucket_and_thumbnails_from_us(cloud: Cloud) -> None:
    data = image_bytes(size=(300, 200))
    await cloud.store.write("a b+ü.png", data)
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    [sample] = await cloud.samples(dataset)
    async with httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        sent = await browser.get(sample["imageUrl"])
        image = await browser.get(sent.headers["location"])
        thumbnail = await browser.get(sample["thumbnailUrl"])
        head = await browser.head(sample["imageUrl"])
    assert sent.status_code == 302
    assert (image.status_code, image.content, image.headers["content-type"]) == (200, data, "image/png")
    assert (thumbnail.status_code, thumbnail.headers["content-type"]) == (200, "image/jpeg")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(data)))
    assert "planted-secret" not in str(sent.headers)


async def test_what_browsers_cannot_show_comes_from_us_and_its_original_from_the_bucket(cloud: Cloud) -> None:
    data = image_bytes(form="TIFF", size=(30, 20))
    await cloud.store.write("a.tif", data)
    dataset = await cloud.dataset(imageFormats=["TIFF"])
    assert (await cloud.synced(dataset))["addedCount"] == 1
    [sample] = await cloud.samples(dataset)
    async with httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        shown = await browser.get(sample["imageUrl"])
        sent = await browser.get(sample["originalUrl"])
        original = await browser.get(sent.headers["location"])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert (sent.status_code, original.content, original.headers["content-type"]) == (302, data, "image/tiff")


async def test_without_links_images_come_through_the_server(cloud: Cloud, database_url: str, tmp_path: Path) -> None:
    data = image_bytes()
    await cloud.store.write("a.png", data)
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    [sample] = await cloud.samples(dataset)
    shy = cloud.settings.with_changes(s3=cloud.settings.s3.with_changes(links=False), worker=False)
    async with serving(shy) as url, httpx2.AsyncClient(base_url=url, timeout=TIMEOUT) as browser:
        path = sample["imageUrl"].removeprefix(cloud.client.url)
        image = await browser.get(path)
        part = await browser.get(path, headers={"range": "bytes=1-3"})
    assert (image.status_code, image.content) == (200, data)
    assert (part.status_code, part.content) == (206, data[1:4])


async def test_models_get_images_through_the_server_where_they_reach_it_by_a_url_of_their_own(cloud: Cloud) -> None:
    """They may not reach the bucket by the URL that browsers do, as in Compose."""
    data = image_bytes()
    await cloud.store.write("a.png", data)
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    [sample] = await cloud.samples(dataset)
    by_name = cloud.settings.with_changes(model_base_url="http://Server:8000", hosts=("server",), worker=False)
    async with serving(by_name) as url, httpx2.AsyncClient(base_url=url, timeout=TIMEOUT) as client:
        path = sample["imageUrl"].removeprefix(cloud.client.url)
        of_model = await client.get(path, headers={"host": "server:8000"})
        of_browser = await client.get(path)
    assert (of_model.status_code, of_model.content) == (200, data)
    assert of_browser.status_code == 302


async def test_deleting_with_sources_deletes_in_the_bucket(cloud: Cloud) -> None:
    for name in ("1.png", "2.png", "3.png"):
        await cloud.store.write(name, image_bytes())
    await cloud.store.write("1.txt", b"cat")
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    first, second, _ = await cloud.samples(dataset)
    deletion = {"datasetId": dataset, "select": {"ids": [first["id"], second["id"]]}, "deleteSources": True}
    result = (await cloud.client.execute(DELETE, {"input": deletion}))["deleteSamples"]
    assert result == {"deletedSampleCount": 2, "deletedSourceCount": 2, "failedSources": []}
    assert [found.path async for page in cloud.store.pages() for found in page.objects] == ["3.png"]


async def test_a_replaced_object_is_not_deleted(cloud: Cloud) -> None:
    await cloud.store.write("1.png", image_bytes())
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    [sample] = await cloud.samples(dataset)
    await cloud.store.s3.client.put_object(Bucket=cloud.store.bucket, Key="set one/1.png", Body=b"another")
    deletion = {"datasetId": dataset, "select": {"ids": [sample["id"]]}, "deleteSources": True}
    result = (await cloud.client.execute(DELETE, {"input": deletion}))["deleteSamples"]
    assert [failure["path"] for failure in result["failedSources"]] == ["1.png"]
    assert await cloud.store.read("1.png") == b"another"


async def test_syncing_again_changes_nothing_and_removes_what_vanished(cloud: Cloud) -> None:
    for name in ("1.png", "2.png", "3.png"):
        await cloud.store.write(name, image_bytes())
    dataset = await cloud.dataset()
    await cloud.synced(dataset)
    await cloud.client.execute(SYNC, {"id": dataset})
    again = await cloud.synced(dataset)
    assert (again["status"], again["addedCount"], again["removedCount"], again["skippedCount"]) == (
        "SUCCEEDED",
        0,
        0,
        0,
    )
    await cloud.store.delete("2.png")
    await cloud.client.execute(SYNC, {"id": dataset})
    assert (await cloud.synced(dataset))["removedCount"] == 1
    assert [sample["path"] for sample in await cloud.samples(dataset)] == ["1.png", "3.png"]


async def test_a_bucket_that_is_not_there_fails_the_sync_with_a_sentence(cloud: Cloud) -> None:
    job = await cloud.synced(await cloud.dataset("s3://no-such-bucket/"))
    assert job["status"] == "FAILED"
    assert job["error"] == {
        "code": "STORAGE_ERROR",
        "message": "The input path does not exist, or the server may not read it.",
    }


@pytest.mark.parametrize("path", ["s3://", "s3://UPPER/", "s3://ok/../x", "s3://ok//x", "s3://ok/a\nb", "s3://a"])
async def test_refuses_what_is_no_bucket(cloud: Cloud, path: str) -> None:
    with pytest.raises(Failed) as failed:
        await cloud.dataset(path)
    assert failed.value.codes == ["INVALID_PATH"]


async def test_only_buckets_that_the_owner_allowed(database_url: str, database: Database, tmp_path: Path) -> None:
    settings = configured(database_url, tmp_path, "http://127.0.0.1:9", buckets=("ours",))
    async with serving(settings.with_changes(worker=False)) as url:
        client = Client(url, await token(database))
        values = {"name": "d", "inputPath": "s3://theirs/x/", "syncNow": False}
        with pytest.raises(Failed) as failed:
            await client.execute(CREATE, {"input": values})
        made = await client.execute(CREATE, {"input": values | {"inputPath": "s3://ours/x"}})
    assert failed.value.codes == ["INVALID_PATH"]
    assert made["createDataset"]["dataset"]["inputPath"] == "s3://ours/x/"


async def test_without_s3_a_bucket_is_no_path(database_url: str, database: Database, tmp_path: Path) -> None:
    async with serving(
        Settings(database_url=database_url, data_dir=tmp_path, worker=False, timeouts=SERVER_TIMEOUTS)
    ) as url:
        with pytest.raises(Failed) as failed:
            await Client(url, await token(database)).execute(CREATE, {"input": {"name": "d", "inputPath": "s3://b-b/"}})
    assert failed.value.codes == ["INVALID_PATH"]


def test_keys_are_not_shown_where_settings_are() -> None:
    shown = repr(configured("postgresql://", Path("/x"), "http://s3"))
    assert "planted-secret" not in shown
