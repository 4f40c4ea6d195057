"""importAnnotations, as a client asks for it."""

from pathlib import Path
from typing import Any

import pytest

from db import jobs
from db.ingest import imports
from db.storage import Stores
from db.storage.locations import AllowedLocations
from schema import sdl
from tests.db.dataset_fixture import WORKER
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.test_mutations_imports import BELOW, PATHS

CSV = "path,label\n000000.jpg,cat\n000001.jpg,bird\n000001.jpg,cat\nnone.jpg,cat\nx/000002.jpg,bad name!\n"
JOB = """... on ImportJob { status sourceFormat isDryRun readCount addedCount updatedCount labeledCount skippedCount
    matchedCount keptCount missingCount outOfBoundsCount newLabels { name sampleCount annotationCount }
    notices { kind count examples } warnings(first: 10) { totalCount nodes { path message count } } }"""


@pytest.fixture
def labels(client: DatasetClient) -> Path:
    file = client.root / "labels.csv"
    file.write_text(CSV)
    return file


async def run(client: DatasetClient) -> None:
    """Run the job that is due, as a worker does."""
    claim = await jobs.claim(client.direct.database, WORKER)
    assert claim is not None
    await imports.run(client.direct.database, claim, Stores(AllowedLocations((client.root.resolve(),))))
    await jobs.finish(client.direct.database, claim, "SUCCEEDED")


async def imported(client: DatasetClient, **input: Any) -> dict[str, Any]:
    payload = await client.mutate("importAnnotations", "job { id }", datasetId=client.dataset, **input)
    await run(client)
    query = f"query ($id: ID!) {{ node(id: $id) {{ {JOB} }} }}"
    data = await client.direct.execute(query, {"id": payload["job"]["id"]})
    return data["node"]  # type: ignore[no-any-return]


async def test_a_dry_run_answers_what_would_happen_and_the_import_does_it(client: DatasetClient, labels: Path) -> None:
    dry = await imported(client, path=str(labels), dryRun=True)
    assert dry == {
        "status": "SUCCEEDED",
        "sourceFormat": "CSV",
        "isDryRun": True,
        "readCount": 4,
        "addedCount": 0,
        "updatedCount": 2,
        "labeledCount": 2,
        "skippedCount": 1,
        "matchedCount": 3,
        "keptCount": 0,
        "missingCount": 1,
        "outOfBoundsCount": 0,
        "newLabels": [{"name": "bird", "sampleCount": 1, "annotationCount": 1}],
        "notices": dry["notices"],
        "warnings": dry["warnings"],
    }
    assert sorted((each["kind"], each["count"]) for each in dry["notices"]) == [
        ("IMAGE_MISSING", 1),
        ("LABEL_NAME", 1),
        ("MATCHED_BY_NAME", 1),
    ]
    assert {each["path"] for each in dry["warnings"]["nodes"]} == {"labels.csv:5", "labels.csv:6"}
    assert await client.labelled() == {position: [] for position in range(6)}
    done = await imported(client, path=str(labels))
    assert done == dry | {"isDryRun": False}
    labelled = {position: sorted(names) for position, names in (await client.labelled()).items()}
    assert labelled == {0: ["cat"], 1: ["bird", "cat"], 2: [], 3: [], 4: [], 5: []}


async def test_labels_are_chosen_and_renamed(client: DatasetClient, labels: Path) -> None:
    names = {"map": [{"from": "bad name!", "to": "good"}, {"from": "cat", "to": "Cat"}], "exclude": ["bird"]}
    job = await imported(
        client, path=str(labels), labels=names, format="CSV", outOfBounds="CLAMP", existing="OVERWRITE"
    )
    assert await client.labelled() == {0: ["Cat"], 1: ["Cat"], 2: ["good"], 3: [], 4: [], 5: []}
    assert {each["name"] for each in job["newLabels"]} == {"Cat", "good"}
    twice = {"map": [{"from": "cat", "to": "a"}, {"from": "cat", "to": "b"}]}
    refused = await client.refused("importAnnotations", datasetId=client.dataset, path=str(labels), labels=twice)
    assert (refused["code"], refused["details"]["path"]) == ("VALIDATION_FAILED", "labels.map")


async def test_undoing_the_job_takes_it_all_back(client: DatasetClient, labels: Path) -> None:
    payload = await client.mutate("importAnnotations", "job { id }", datasetId=client.dataset, path=str(labels))
    await run(client)
    await client.mutate("undoChange", "change { id }", jobId=payload["job"]["id"])
    assert await client.labelled() == {position: [] for position in range(6)}
    await client.check()


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith(("closed", "folder"))])
async def test_refuses_what_is_nothing_that_may_be_read(client: DatasetClient, path: str) -> None:
    (client.root / "round").symlink_to(client.root / "round")
    (client.root / "file").write_text("")
    input_ = f"{client.root}/{path}" if path.startswith(BELOW) else path
    refused = await client.refused("importAnnotations", datasetId=client.dataset, path=input_)
    assert refused["code"] == "INVALID_PATH"


@pytest.mark.parametrize("path", ["nowhere.csv", "nowhere/labels.csv"])
async def test_says_which_file_is_missing(client: DatasetClient, path: str) -> None:
    query = "mutation ($input: ImportAnnotationsInput!) { importAnnotations(input: $input) { __typename } }"
    input_ = {"datasetId": client.dataset, "path": f"{client.root}/{path}"}
    [error] = (await client.direct.answer(query, {"input": input_}))["errors"]
    assert error["message"] == f"There is no file or folder `{client.root}/{path}`, or there is nothing in it."


async def test_takes_a_folder_and_refuses_one_without_files(client: DatasetClient, labels: Path) -> None:
    (client.root / "empty").mkdir()
    refused = await client.refused("importAnnotations", datasetId=client.dataset, path=f"{client.root}/empty")
    assert refused["code"] == "INVALID_PATH"
    (client.root / "folder").mkdir()
    labels.rename(client.root / "folder" / "labels.csv")
    job = await imported(client, path=f"{client.root}/folder/")
    assert job["updatedCount"] == 2


async def test_excludes_syncs_publishing_and_other_imports(client: DatasetClient, labels: Path) -> None:
    payload = await client.mutate("importAnnotations", "job { id }", datasetId=client.dataset, path=str(labels))
    job = payload["job"]["id"]
    for field, input in (("importAnnotations", {"path": str(labels)}), ("syncDataset", {}), ("publishVersion", {})):
        refused = await client.refused(field, datasetId=client.dataset, **input)
        assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", job)
    canceled = await client.mutate("cancelJob", "job { id status }", jobId=job)
    assert canceled["job"]["status"] == "CANCELED"


async def test_the_same_request_sent_again_is_one_import_even_if_the_file_is_gone(
    client: DatasetClient, labels: Path
) -> None:
    async def ask() -> Any:
        input_ = {"datasetId": client.dataset, "path": str(labels)}
        return await client.mutate("importAnnotations", "job { id }", key="k", **input_)

    first = await ask()
    labels.unlink()
    assert await ask() == first


async def test_refuses_another_revision_than_the_expected_one(client: DatasetClient, labels: Path) -> None:
    input_ = {"datasetId": client.dataset, "path": str(labels), "expectedRevision": 99}
    assert (await client.refused("importAnnotations", **input_))["code"] == "CONFLICT"


async def test_a_confined_token_reads_only_where_its_datasets_lie(client: DatasetClient, labels: Path) -> None:
    confined = client.confined_to(client.dataset_rows.id)
    refused = await confined.refused("importAnnotations", datasetId=client.dataset, path=str(labels))
    assert refused["code"] == "INVALID_PATH"
    labels.rename(client.root / "images" / "labels.csv")
    job = await imported(confined, path=f"{client.root}/images/labels.csv")
    assert job["updatedCount"] == 2


def test_import_manifest_is_deprecated() -> None:
    assert '): ImportManifestPayload @deprecated(reason: "Use `importAnnotations`' in sdl()
