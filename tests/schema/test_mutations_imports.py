"""importManifest, as a client asks for it."""

from pathlib import Path
from typing import Any

import pytest

from tests.file_permissions import without_root
from tests.schema.mutation_fixture import DatasetClient

JOB = """job { __typename id status requestedBy readCount addedCount updatedCount labeledCount skippedCount
    warnings(first: 1) { totalCount } }"""


@pytest.fixture
def manifest(client: DatasetClient) -> Path:
    file = client.root / "V001.manifest"
    file.write_text("")
    return file


async def test_gives_a_job_that_a_client_can_follow_and_stop(client: DatasetClient, manifest: Path) -> None:
    payload = await client.mutate("importManifest", JOB, datasetId=client.dataset, path=str(manifest))
    job = payload["job"]
    assert (job["__typename"], job["status"], job["requestedBy"]) == ("ImportJob", "QUEUED", "ann")
    query = """query ($id: ID!, $dataset: ID!) {
        node(id: $id) { ... on ImportJob { readCount dataset { id } error { code } progress } }
        dataset(by: {id: $dataset}) { activeJob { id ... on ImportJob { labeledCount } ... on SyncJob { movedCount } }
                                      jobs(first: 2) { nodes { id __typename } edges { node { status } } } } }"""
    data = await client.direct.execute(query, {"id": job["id"], "dataset": client.dataset})
    assert data["node"] == {"readCount": 0, "dataset": {"id": client.dataset}, "error": None, "progress": None}
    assert data["dataset"]["activeJob"] == {"id": job["id"], "labeledCount": 0}
    assert data["dataset"]["jobs"]["nodes"] == [{"id": job["id"], "__typename": "ImportJob"}]
    canceled = await client.mutate("cancelJob", "job { id status }", jobId=job["id"])
    assert canceled["job"] == {"id": job["id"], "status": "CANCELED"}


async def test_of_the_ids_of_jobs_each_is_of_its_own_type(client: DatasetClient, manifest: Path) -> None:
    payload = await client.mutate("importManifest", "job { id }", datasetId=client.dataset, path=str(manifest))
    as_sync = payload["job"]["id"].replace("Import", "Sync")
    assert (await client.refused("cancelJob", jobId=as_sync))["code"] == "JOB_NOT_FOUND"
    assert (await client.direct.execute("query ($id: ID!) { node(id: $id) { id } }", {"id": as_sync}))["node"] is None


PATHS = {
    "nowhere.manifest": "INVALID_PATH",
    "/etc/passwd": "INVALID_PATH",
    "relative.manifest": "INVALID_PATH",
    "s3://bucket/x.manifest": "INVALID_PATH",
    "obs://bucket/x.manifest": "INVALID_PATH",
    "https://host/x.manifest": "INVALID_PATH",
    "": "INVALID_PATH",
    "/a\x00b": "INVALID_PATH",
    "a" * 300: "INVALID_PATH",
    "a" * 300 + "/V001.manifest": "INVALID_PATH",
    "round/V001.manifest": "INVALID_PATH",
    "round": "INVALID_PATH",
    "file/V001.manifest": "INVALID_PATH",
    "folder": "INVALID_PATH",
    "closed/V001.manifest": "INVALID_PATH",
    "closed/below/V001.manifest": "INVALID_PATH",
    "closed.manifest": "INVALID_PATH",
}
BELOW = ("nowhere", "a", "round", "file", "folder", "closed")


@pytest.mark.parametrize("path", PATHS)
async def test_refuses_what_is_no_manifest_that_may_be_read(client: DatasetClient, path: str) -> None:
    (client.root / "round").symlink_to(client.root / "round")
    (client.root / "file").write_text("")
    (client.root / "folder").mkdir()
    (client.root / "closed.manifest").write_text("")
    (client.root / "closed.manifest").chmod(0)
    (client.root / "closed" / "below").mkdir(parents=True)
    (client.root / "closed").chmod(0)
    input_ = f"{client.root}/{path}" if path.startswith(BELOW) else path
    with without_root(client.root):
        refused = await client.refused("importManifest", datasetId=client.dataset, path=input_)
    assert refused["code"] == PATHS[path]


async def test_refuses_a_source_root_that_is_no_place(client: DatasetClient, manifest: Path) -> None:
    refused = await client.refused("importManifest", datasetId=client.dataset, path=str(manifest), sourceRoot="images")
    assert refused["code"] == "INVALID_PATH"


async def test_refuses_a_dataset_that_is_not_there(client: DatasetClient, manifest: Path) -> None:
    refused = await client.refused("importManifest", datasetId="Dataset:999", path=str(manifest))
    assert refused["code"] == "DATASET_NOT_FOUND"


async def test_takes_names_of_labels_that_no_label_can_have(client: DatasetClient, manifest: Path) -> None:
    names = ["a\x00b", "\ud800", "cafe\u0301"]
    input_: dict[str, Any] = {"datasetId": client.dataset, "path": str(manifest)}
    input_ |= {"includedLabels": names, "excludedLabels": names}
    payload = await client.mutate("importManifest", "job { id }", **input_)
    async with client.direct.database.reading() as reader:
        kept = await reader.fetchval("SELECT arguments::text FROM job")
    assert "café" in kept, payload


async def test_refuses_another_revision_than_the_expected_one(client: DatasetClient, manifest: Path) -> None:
    refused = await client.refused("importManifest", datasetId=client.dataset, path=str(manifest), expectedRevision=99)
    assert refused["code"] == "CONFLICT"


async def test_excludes_syncs_publishing_and_other_imports(client: DatasetClient, manifest: Path) -> None:
    payload = await client.mutate("importManifest", "job { id }", datasetId=client.dataset, path=str(manifest))
    for field, input in (("importManifest", {"path": str(manifest)}), ("syncDataset", {}), ("publishVersion", {})):
        refused = await client.refused(field, datasetId=client.dataset, **input)
        assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", payload["job"]["id"])


async def test_the_same_request_sent_again_is_one_import_even_if_the_manifest_is_gone(
    client: DatasetClient, manifest: Path
) -> None:
    async def ask() -> Any:
        return await client.mutate(
            "importManifest", "job { id }", key="k", datasetId=client.dataset, path=str(manifest)
        )

    first = await ask()
    manifest.unlink()
    assert await ask() == first


async def test_a_confined_token_reads_manifests_only_where_its_datasets_lie(
    client: DatasetClient, manifest: Path
) -> None:
    confined = client.confined_to(client.dataset_rows.id)
    refused = await confined.refused("importManifest", datasetId=client.dataset, path=str(manifest))
    assert refused["code"] == "INVALID_PATH"
    (client.root / "images" / "V001.manifest").write_text("")
    inside = f"{client.root}/images/V001.manifest"
    payload = await confined.mutate("importManifest", "job { id }", datasetId=client.dataset, path=inside)
    assert payload["job"]["id"].startswith("ImportJob:")
