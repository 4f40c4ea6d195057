"""Manifests that cannot be written: tried again, reported, and requested again."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from db.jobs import runner
from db.postgres.engine import Database
from tests.client import Client, Failed, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT, wait_until

CREATE = """mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } job { id } } }"""
PUBLISH = "mutation ($id: ID!) { publishVersion(input: {datasetId: $id}) { version { id } } }"
VERSION = """query ($id: ID!) { node(id: $id) { ... on Version { status manifestPath
    manifestJob { id status error { code message } version { id } } } } }"""
JOBS = """query ($id: ID!) { dataset(by: {id: $id}) { activeJob { id }
    jobs { nodes { __typename status ... on ManifestJob { version { id } } } } } }"""
WRITE = """mutation ($id: ID!) { writeManifest(input: {versionId: $id}) { job { id status version { id } } } }"""


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    async with serving(settings) as url:
        yield Client(url, await token(database), TIMEOUT)


async def create(client: Client, root: Path, output: Path | None) -> str:
    (root / "in").mkdir()
    (root / "in" / "cat.png").write_bytes(image_bytes())
    values = {"name": "pets", "inputPath": str(root / "in")} | ({"outputPath": str(output)} if output else {})
    dataset = str((await client.execute(CREATE, {"input": values}))["createDataset"]["dataset"]["id"])

    async def synced() -> bool:
        found = (await client.execute(JOBS, {"id": dataset}))["dataset"]["jobs"]["nodes"]
        return [job["status"] for job in found] == ["SUCCEEDED"]

    await wait_until(synced)
    return dataset


async def publish(client: Client, dataset: str) -> str:
    return str((await client.execute(PUBLISH, {"id": dataset}))["publishVersion"]["version"]["id"])


async def job_of(client: Client, version: str) -> dict[str, Any]:
    return dict((await client.execute(VERSION, {"id": version}))["node"]["manifestJob"])


async def ends(client: Client, version: str, status: str) -> None:
    async def look() -> bool:
        return bool((await job_of(client, version))["status"] == status)

    await wait_until(look)


async def test_a_manifest_whose_place_is_taken_fails_visibly_and_is_written_when_asked_for_again(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "DELAYS", (0.0, 0.1, 0.2))
    output = tmp_path / "out"
    dataset = await create(client, tmp_path, output)
    output.write_text("a file where a directory is to be")
    version = await publish(client, dataset)
    await ends(client, version, "FAILED")
    assert caplog.text.count("is repeated in") == 3
    job = await job_of(client, version)
    assert job["error"]["code"] == "STORAGE_ERROR"
    assert str(tmp_path) not in job["error"]["message"]
    jobs = (await client.execute(JOBS, {"id": dataset}))["dataset"]["jobs"]["nodes"]
    assert jobs[0] == {"__typename": "ManifestJob", "status": "FAILED", "version": {"id": version}}
    output.unlink()
    written = (await client.execute(WRITE, {"id": version}))["writeManifest"]["job"]
    assert written["version"] == {"id": version}
    await ends(client, version, "SUCCEEDED")
    found = (await client.execute(VERSION, {"id": version}))["node"]
    assert (found["manifestJob"]["id"], found["manifestJob"]["error"]) == (written["id"], None)
    assert Path(found["manifestPath"]).read_text().count("\n") == 1


async def test_a_manifest_is_written_of_itself_once_its_place_is_free(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DELAYS", (0.5,) * 1_000)
    output = tmp_path / "out"
    dataset = await create(client, tmp_path, output)
    output.write_text("in the way")
    version = await publish(client, dataset)
    first = await job_of(client, version)
    output.unlink()
    await ends(client, version, "SUCCEEDED")
    assert (await job_of(client, version))["id"] == first["id"]


async def test_what_killed_writers_left_goes_when_the_next_manifest_is_written(client: Client, tmp_path: Path) -> None:
    dataset = await create(client, tmp_path, tmp_path / "out")
    first = await publish(client, dataset)
    await ends(client, first, "SUCCEEDED")
    manifest = Path((await client.execute(VERSION, {"id": first}))["node"]["manifestPath"])
    left, fresh, theirs = (manifest.parent / name for name in (f".{'a' * 16}.part", f".{'b' * 16}.part", "mine.part"))
    for file in (left, fresh, theirs):
        file.write_bytes(b"half of it")
    for file in (left, theirs):
        os.utime(file, (0, 0))
    second = await publish(client, dataset)
    await ends(client, second, "SUCCEEDED")
    assert [file.exists() for file in (left, fresh, theirs, manifest)] == [False, True, True, True]


async def test_one_job_at_a_time_writes_a_manifest(
    client: Client, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DELAYS", (3_600.0,))
    output = tmp_path / "out"
    dataset = await create(client, tmp_path, output)
    output.write_text("in the way")
    version = await publish(client, dataset)
    asked = await asyncio.gather(*(client.execute(WRITE, {"id": version}) for _ in range(5)))
    assert {each["writeManifest"]["job"]["id"] for each in asked} == {(await job_of(client, version))["id"]}
    assert (await client.execute(JOBS, {"id": dataset}))["dataset"]["activeJob"] is None
    canceled = await client.execute(
        "mutation ($id: ID!) { cancelJob(input: {jobId: $id}) { job { __typename } } }",
        {"id": (await job_of(client, version))["id"]},
    )
    assert canceled["cancelJob"]["job"]["__typename"] == "ManifestJob"
    await ends(client, version, "CANCELED")
    again = (await client.execute(WRITE, {"id": version}))["writeManifest"]["job"]
    assert again["id"] == (await job_of(client, version))["id"] != asked[0]["writeManifest"]["job"]["id"]


async def test_without_an_output_path_there_is_nothing_to_write(client: Client, tmp_path: Path) -> None:
    dataset = await create(client, tmp_path, None)
    version = await publish(client, dataset)
    assert (await client.execute(VERSION, {"id": version}))["node"]["manifestJob"] is None
    with pytest.raises(Failed) as refused:
        await client.execute(WRITE, {"id": version})
    assert refused.value.codes == ["VALIDATION_FAILED"]
    with pytest.raises(Failed) as missing:
        await client.execute(WRITE, {"id": "Version:999"})
    assert missing.value.codes == ["VERSION_NOT_FOUND"]
