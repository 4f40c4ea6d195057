"""Exports over HTTP: requested, followed, canceled, and downloaded by signed URLs."""

import asyncio
import hashlib
import io
import itertools
import json
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.settings import Settings
from db.exports.images import Images
from db.identity import tokens
from db.identity.tokens import Scope
from db.identity.urls import Signer, secret
from db.jobs import runner
from db.postgres import sql
from db.postgres.engine import Database
from db.storage.s3 import S3Store
from tests import s3
from tests.api.test_s3 import configured
from tests.client import Client, Failed, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT, wait_until

NUMBERS = itertools.count()
CREATE = """mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } job { id } } }"""
EXPORT = """mutation ($input: ExportDatasetInput!) { exportDataset(input: $input) { job { id __typename status } } }"""
JOB = """query ($id: ID!) { node(id: $id) { __typename ... on Job { status progress error { code message } }
    ... on ExportJob { format images packing revision exportedCount location expiresAt version { id }
        files { name url size sha256 } summary { imageCount annotationCount leftOutCount missingCount size }
        warnings(first: 100) { nodes { path message count } } } } }"""
CANCEL = "mutation ($id: ID!) { cancelJob(input: {jobId: $id}) { job { id } } }"
JOBS = """query ($id: ID!) { dataset(by: {id: $id}) {
    jobs(filter: {kinds: [EXPORT]}) { nodes { id __typename } } activeJob { id } } }"""


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    async with serving(settings) as url:
        yield Client(url, await token(database, name="ann"), TIMEOUT)


async def ended(client: Client, job: str) -> dict[str, Any]:
    async def look() -> bool:
        return (await client.execute(JOB, {"id": job}))["node"]["status"] in ("SUCCEEDED", "FAILED", "CANCELED")

    await wait_until(look)
    return dict((await client.execute(JOB, {"id": job}))["node"])


async def created(client: Client, root: Path, **more: Any) -> str:
    """A classification of four labelled images."""
    folder = root / f"in-{next(NUMBERS)}"
    folder.mkdir()
    for name in ("a", "b", "c", "d"):
        (folder / f"{name}.png").write_bytes(image_bytes())
        (folder / f"{name}.txt").write_text("cat\n")
    values = {"name": f"pets-{next(NUMBERS)}", "inputPath": str(folder), **more}
    made = (await client.execute(CREATE, {"input": values}))["createDataset"]
    assert (await ended(client, made["job"]["id"]))["status"] == "SUCCEEDED"
    return str(made["dataset"]["id"])


async def requested(client: Client, dataset: str, **more: Any) -> str:
    input_ = {"datasetId": dataset, "format": "CSV", **more}
    return str((await client.execute(EXPORT, {"input": input_}))["exportDataset"]["job"]["id"])


async def exported(client: Client, dataset: str, **more: Any) -> dict[str, Any]:
    job = await ended(client, await requested(client, dataset, **more))
    assert (job["status"], job["error"]) == ("SUCCEEDED", None)
    return job


async def fetch(url: str, method: str = "GET", **headers: str) -> httpx2.Response:
    """As a script does, without a token; no redirect is followed."""
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.request(method, url, headers=named)


# -- from the request to the file


async def test_labels_come_as_one_file_of_csv(client: Client, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path)
    job = await exported(client, dataset)
    [file] = job["files"]
    response = await fetch(file["url"])
    assert response.text.splitlines()[1].startswith("a.png,cat,")
    assert (len(response.content), hashlib.sha256(response.content).hexdigest()) == (file["size"], file["sha256"])
    assert job["summary"] == {
        "imageCount": 4,
        "annotationCount": 4,
        "leftOutCount": 0,
        "missingCount": 0,
        "size": len(response.content),
    }
    assert (job["format"], job["images"], job["packing"], job["exportedCount"]) == ("CSV", "NONE", "FILES", 4)
    assert (job["progress"], job["location"], job["version"], job["warnings"]["nodes"]) == (1, None, None, [])
    assert job["expiresAt"] is not None


async def test_images_come_in_a_zip(client: Client, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path, outputPath=str(tmp_path / "out"))
    job = await exported(client, dataset, format="IMAGE_FOLDER", filter={"fileName": {"contains": "a"}})
    [file] = job["files"]
    assert file["name"].endswith(".zip")
    assert (Path(job["location"]) / file["name"]).read_bytes() == (await fetch(file["url"])).content
    with zipfile.ZipFile(io.BytesIO((await fetch(file["url"])).content)) as archive:
        assert archive.namelist() == ["cat/a.png"]
    assert job["expiresAt"] is None


async def test_an_export_is_one_of_the_dataset_s_jobs_and_excludes_no_other(client: Client, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path)
    first, second = [await requested(client, dataset) for _ in range(2)]
    found = (await client.execute(JOBS, {"id": dataset}))["dataset"]
    assert [job["id"] for job in found["jobs"]["nodes"]] == [second, first]
    assert found["activeJob"] is None
    for job in (first, second):
        assert (await ended(client, job))["status"] == "SUCCEEDED"


async def test_a_version_is_exported_by_its_id(client: Client, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path)
    published = "mutation ($id: ID!) { publishVersion(input: {datasetId: $id}) { version { id } } }"
    version = (await client.execute(published, {"id": dataset}))["publishVersion"]["version"]["id"]
    job = await exported(client, dataset, versionId=version, format="JSON_LINES")
    lines = [json.loads(line) for line in (await fetch(job["files"][0]["url"])).content.splitlines()]
    assert job["version"] == {"id": version}
    assert {line["usage"] for line in lines} == {"TRAIN"}


# -- downloading


async def test_a_download_goes_on_where_it_broke_off(client: Client, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path)
    [file] = (await exported(client, dataset, images="INCLUDED"))["files"]
    whole = await fetch(file["url"])
    assert whole.status_code == 200
    assert dict(whole.headers) | {
        "etag": f'"{file["sha256"]}"',
        "accept-ranges": "bytes",
        "content-type": "application/zip",
        "content-disposition": f"attachment; filename*=UTF-8''{file['name']}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "content-length": str(file["size"]),
    } == dict(whole.headers)
    half = len(whole.content) // 2
    rest = await fetch(file["url"], range=f"bytes={half}-", if_range=whole.headers["etag"])
    assert (rest.status_code, whole.content[:half] + rest.content) == (206, whole.content)
    assert rest.headers["content-range"] == f"bytes {half}-{file['size'] - 1}/{file['size']}"
    assert (await fetch(file["url"], range="bytes=-10")).content == whole.content[-10:]
    beyond = await fetch(file["url"], range=f"bytes={file['size']}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{file['size']}")
    assert (await fetch(file["url"], range="bytes=5-", if_range='"other"')).content == whole.content
    assert (await fetch(file["url"], if_none_match=whole.headers["etag"])).status_code == 304
    head = await fetch(file["url"], "HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(file["size"]))
    assert (await fetch(file["url"], "POST")).status_code == 405


async def test_nobody_fetches_what_is_not_theirs_or_over(client: Client, database: Database, tmp_path: Path) -> None:
    dataset = await created(client, tmp_path)
    reader = await token(database, Scope.READ, name="reader")
    [file] = (await exported(Client(client.url, reader, TIMEOUT), dataset))["files"]
    assert (await fetch(file["url"])).status_code == 200
    url = urlsplit(file["url"])
    signature = url.query.rpartition("=")[2]
    for changed in (
        file["url"].replace(signature, signature[::-1]),
        file["url"].replace(url.path, f"{url.path}0"),
        file["url"].replace("e=", "e=9"),
        f"{client.url}{url.path}?e={int(time.time()) + 99}&i=1&s=",
    ):
        refused = await fetch(changed)
        assert (refused.status_code, refused.text[:40]) == (403, "This URL is not valid (any more); read the j"[:40])
    for path in ("/exports/x", "/exports/0", f"/exports/{'9' * 30}"):
        assert (await fetch(f"{client.url}{path}?{url.query}")).status_code == 403
    confined = await token(database, name="confined", dataset_ids=[10**9])
    async with database.reading() as reader_, database.writing() as session:
        identity = await tokens.verify(reader_, confined)
        key = await secret(session)
    assert identity is not None
    links = Signer(key, 600).links(client.url, identity.token_id, time.time())
    assert (await fetch(links.signed(url.path))).status_code == 404
    assert (await fetch(links.signed("/exports/999999999"))).status_code == 404
    for statement, undo in (
        ("UPDATE export SET expires_at = now()", "UPDATE export SET expires_at = now() + interval '1 day'"),
        ("UPDATE job SET status = 'FAILED' WHERE kind = 'EXPORT'", "UPDATE job SET status = 'SUCCEEDED'"),
        ("UPDATE dataset SET deleted_at = now()", "UPDATE dataset SET deleted_at = NULL"),
        ("UPDATE export_file SET size = size + 1", "UPDATE export_file SET size = size - 1"),
    ):
        for each, status in ((statement, 404), (undo, 200)):
            async with database.writing() as session:
                await sql.run(session, each)
            assert (await fetch(file["url"])).status_code == status, each
    async with database.writing() as session:
        await sql.run(session, "UPDATE token SET revoked_at = now() WHERE name = 'reader'")

    async def is_refused() -> bool:
        return (await fetch(file["url"])).status_code == 403

    await wait_until(is_refused)


async def test_a_bucket_hands_out_its_files_itself(
    database_url: str, database: Database, tmp_path: Path, s3_endpoint: str
) -> None:
    bucket = f"exported-{next(NUMBERS)}"
    settings = configured(database_url, tmp_path, s3_endpoint)
    async with s3.connected(s3_endpoint, bucket) as opened, serving(settings) as url:
        client, store = Client(url, await token(database), TIMEOUT), S3Store(opened, bucket, "in/")
        await store.write("猫.png", image_bytes())
        made = await client.execute(CREATE, {"input": {"name": "cloud", "inputPath": f"s3://{bucket}/in/"}})
        await ended(client, made["createDataset"]["job"]["id"])
        job = await exported(client, made["createDataset"]["dataset"]["id"], images="INCLUDED")
        [file] = job["files"]
        link = await fetch(file["url"])
        assert (link.status_code, link.headers["cache-control"]) == (302, "no-store")
        found = await fetch(link.headers["location"])
        assert hashlib.sha256(found.content).hexdigest() == file["sha256"]
        assert found.headers["content-disposition"] == "attachment; filename*=UTF-8''cloud.zip"
        part = await fetch(link.headers["location"], range="bytes=0-1")
        assert (part.status_code, part.content) == (206, b"PK")
        assert (await fetch(file["url"], "HEAD")).headers["content-length"] == str(file["size"])


# -- canceling, failing


async def test_it_stops_within_seconds_for_whoever_started_it(
    client: Client, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = asyncio.Event()

    async def hang(*_: object) -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Images, "read", hang)
    dataset = await created(client, tmp_path)
    readers = [Client(client.url, await token(database, Scope.READ), TIMEOUT) for _ in range(2)]
    job = await requested(readers[0], dataset, images="INCLUDED")
    await asyncio.wait_for(reading.wait(), TIMEOUT)
    with pytest.raises(Failed) as refused:
        await readers[1].execute(CANCEL, {"id": job})
    assert refused.value.codes == ["FORBIDDEN"]
    await readers[0].execute(CANCEL, {"id": job})
    stopped = await ended(client, job)
    assert (stopped["status"], stopped["files"], stopped["summary"]) == ("CANCELED", [], None)


async def test_an_output_path_that_is_none_fails_it_after_some_attempts(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "DELAYS", (0.0, 0.1, 0.2))
    dataset = await created(client, tmp_path, outputPath=str(tmp_path / "out"))
    (tmp_path / "out").write_text("a file where a directory is to be")
    job = await ended(client, await requested(client, dataset))
    assert caplog.text.count("is repeated in") == 4, "the first attempt has fixed the samples, which is progress"
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    assert str(tmp_path) not in job["error"]["message"]
    (tmp_path / "out").unlink()
    await exported(client, dataset)


# -- wrong input


@pytest.mark.parametrize(
    ("input_", "code"),
    [
        ({"datasetId": "Dataset:999"}, "DATASET_NOT_FOUND"),
        ({"datasetId": "Sample:1"}, "DATASET_NOT_FOUND"),
        ({"versionId": "Version:999"}, "VERSION_NOT_FOUND"),
        ({"versionId": "x"}, "VERSION_NOT_FOUND"),
        ({"format": "YOLO", "options": {"yoloTask": "DETECT"}, "images": "INCLUDED"}, "VALIDATION_FAILED"),
        ({"format": "IMAGE_FOLDER", "images": "LINKS"}, "VALIDATION_FAILED"),
        ({"options": {"hasSplits": True}}, "VALIDATION_FAILED"),
        ({"options": {"maxFileBytes": 0}}, "VALIDATION_FAILED"),
        ({"options": {"maxFileBytes": 5}}, "VALIDATION_FAILED"),
        ({"options": {"maxFileBytes": 1048576.5}}, "VALIDATION_FAILED"),
        ({"options": {"maxFileBytes": 1e300}}, "VALIDATION_FAILED"),
        ({"options": {"packing": "FILES"}, "images": "INCLUDED"}, "VALIDATION_FAILED"),
        (
            {"filter": {"createdAt": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}},
            "VALIDATION_FAILED",
        ),
        ({"format": "XLSX"}, "BAD_USER_INPUT"),
    ],
)
async def test_what_makes_no_sense_starts_nothing(
    client: Client, tmp_path: Path, input_: dict[str, Any], code: str
) -> None:
    dataset = await created(client, tmp_path)
    with pytest.raises(Failed) as refused:
        await requested(client, dataset, **input_)
    assert refused.value.codes == [code], refused.value
    assert (await client.execute(JOBS, {"id": dataset}))["dataset"]["jobs"]["nodes"] == []


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
async def test_a_literal_beyond_all_numbers_is_refused(client: Client, tmp_path: Path, number: str) -> None:
    """Variables are JSON, which has none; a literal of a document becomes infinity."""
    dataset = await created(client, tmp_path)
    input_ = f'datasetId: "{dataset}", format: COCO, options: {{ maxFileBytes: {number} }}'
    with pytest.raises(Failed) as refused:
        await client.execute(f"mutation {{ exportDataset(input: {{ {input_} }}) {{ job {{ id }} }} }}")
    assert refused.value.codes == ["VALIDATION_FAILED"], refused.value
