"""createDataset, updateDataset, deleteDataset, syncDataset, cancelJob, as clients see them."""

from typing import Any

import orjson
import pytest

from db import jobs
from db.errors import Conflict
from tests.file_permissions import without_root
from tests.schema.mutation_fixture import DatasetClient

CREATED = """
    dataset { id name type description inputPath outputPath revision labels { name color shortcut }
              changes { totalCount } activeJob { id } statistics { totalCount } }
    job { id status requestedBy dataset { name } }
"""


def position(client: DatasetClient, name: str = "images") -> str:
    return str(client.root / name)


async def create(client: DatasetClient, **input_: Any) -> Any:
    return await client.mutate("createDataset", CREATED, **({"name": "zoo", "inputPath": position(client)} | input_))


async def refused(client: DatasetClient, field: str, **input_: Any) -> tuple[str, Any]:
    """The code and details, and as many datasets as before."""
    count = "{ datasets { totalCount } }"
    before = await client.direct.execute(count)
    extensions = await client.refused(field, **input_)
    assert await client.direct.execute(count) == before
    return extensions["code"], extensions.get("details", {})


async def test_makes_a_dataset_and_asks_for_its_first_sync(client: DatasetClient) -> None:
    payload = await create(client, description="All animals.\nReally.", outputPath=position(client, "out"))
    dataset, job = payload["dataset"], payload["job"]
    assert (dataset["name"], dataset["type"]) == ("zoo", "IMAGE_CLASSIFICATION")
    assert dataset["description"] == "All animals.\nReally."
    assert (dataset["inputPath"], dataset["outputPath"]) == (position(client), position(client, "out"))
    assert (dataset["revision"], dataset["labels"], dataset["changes"]["totalCount"]) == (0, [], 0)
    assert job == {"id": job["id"], "status": "QUEUED", "requestedBy": "ann", "dataset": {"name": "zoo"}}
    assert dataset["activeJob"] == {"id": job["id"]}


async def test_makes_a_dataset_with_labels_and_without_a_sync(client: DatasetClient) -> None:
    labels = [{"name": "cat", "color": "#FF0000"}, {"name": "dog", "shortcut": "d"}]
    payload = await create(client, labels=labels, syncNow=False, type="OBJECT_DETECTION")
    assert payload["job"] is None
    assert payload["dataset"]["type"] == "OBJECT_DETECTION"
    assert payload["dataset"]["labels"] == [
        {"name": "cat", "color": "#ff0000", "shortcut": None},
        {"name": "dog", "color": None, "shortcut": "d"},
    ]
    assert (payload["dataset"]["revision"], payload["dataset"]["changes"]["totalCount"]) == (1, 1)


async def test_understands_file_urls(client: DatasetClient) -> None:
    payload = await create(client, inputPath=f"file://{position(client)}")
    assert payload["dataset"]["inputPath"] == position(client)


@pytest.mark.parametrize(
    ("input_", "code"),
    [
        ({"name": "pets"}, "DATASET_ALREADY_EXISTS"),
        ({"name": ""}, "INVALID_NAME"),
        ({"name": "a" * 101}, "INVALID_NAME"),
        ({"name": "a b"}, "INVALID_NAME"),
        ({"name": "zoo\n"}, "INVALID_NAME"),
        ({"name": "猫"}, "INVALID_NAME"),
        ({"name": "a\0"}, "INVALID_NAME"),
        ({"description": "x" * 257}, "VALIDATION_FAILED"),
        ({"description": "\0"}, "VALIDATION_FAILED"),
        ({"description": "\ud800"}, "VALIDATION_FAILED"),
        ({"inputPath": "/etc"}, "INVALID_PATH"),
        ({"inputPath": "~/images"}, "INVALID_PATH"),
        ({"inputPath": "s3://bucket/a//b/"}, "INVALID_PATH"),
        ({"inputPath": "s3://bucket/a/../b/"}, "INVALID_PATH"),
        ({"inputPath": f"s3://bucket/{'a' * 1025}/"}, "INVALID_PATH"),
        ({"inputPath": "images"}, "INVALID_PATH"),
        ({"inputPath": ""}, "INVALID_PATH"),
        ({"inputPath": "/a\0"}, "INVALID_PATH"),
        ({"inputPath": "http://example.com/x"}, "INVALID_PATH"),
        ({"labels": [{"name": "a b"}]}, "INVALID_NAME"),
        ({"labels": [{"name": "x"}, {"name": "x"}]}, "LABEL_ALREADY_EXISTS"),
    ],
)
async def test_what_making_a_dataset_refuses(client: DatasetClient, input_: dict[str, Any], code: str) -> None:
    usual = {"name": "zoo", "inputPath": position(client)}
    assert (await refused(client, "createDataset", **(usual | input_)))[0] == code


@pytest.mark.parametrize("field", ["inputPath", "outputPath"])
@pytest.mark.parametrize(
    "path", ["a" * 300, "b/" + "a" * 300 + "/c", "closed", "closed/below", "file", "file/below", "round", "round/below"]
)
async def test_refuses_a_path_that_the_server_cannot_use(client: DatasetClient, field: str, path: str) -> None:
    (client.root / "file").write_text("")
    (client.root / "round").symlink_to(client.root / "round")
    (client.root / "closed").mkdir()
    (client.root / "closed").chmod(0)
    input_ = {"name": "zoo", "inputPath": position(client), field: position(client, path)}
    with without_root(client.root):
        assert (await refused(client, "createDataset", **input_))[0] == "INVALID_PATH"


async def test_the_output_path_lies_outside_the_input_path(client: DatasetClient) -> None:
    for output in (position(client), position(client, "images/out"), position(client, "images/../images/x"), "/etc"):
        input_ = {"name": "zoo", "inputPath": position(client), "outputPath": output}
        assert (await refused(client, "createDataset", **input_))[0] == "INVALID_PATH"


async def test_takes_names_of_a_hundred_characters(client: DatasetClient) -> None:
    assert (await create(client, name="a" * 100))["dataset"]["name"] == "a" * 100


async def test_a_confined_token_makes_no_dataset(client: DatasetClient) -> None:
    code, _ = await refused(
        client.confined_to(client.dataset_rows.id), "createDataset", name="zoo", inputPath=position(client)
    )
    assert code == "FORBIDDEN"


@pytest.mark.parametrize("path", ["images", "nowhere", "../elsewhere"])
async def test_a_confined_token_is_not_shown_which_paths_there_are(client: DatasetClient, path: str) -> None:
    confined = client.confined_to(client.dataset_rows.id)
    code, _ = await refused(confined, "createDataset", name="zoo", inputPath=position(client, path))
    assert code == "FORBIDDEN"


async def test_a_confined_token_is_not_shown_which_names_there_are(client: DatasetClient) -> None:
    await create(client, name="hidden", syncNow=False)
    confined = client.confined_to(client.dataset_rows.id)
    answers = [
        await confined.refused("updateDataset", datasetId=client.dataset, name=name) for name in ("hidden", "free")
    ]
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "FORBIDDEN"
    assert (await update(confined, name="pets", description="Some."))["description"] == "Some."


async def update(client: DatasetClient, **input_: Any) -> Any:
    selection = "dataset { name description revision updatedAt }"
    return (await client.mutate("updateDataset", selection, datasetId=client.dataset, **input_))["dataset"]


async def test_renames_and_describes_a_dataset(client: DatasetClient) -> None:
    first = await update(client, name="animals", description="Some.")
    assert (first["name"], first["description"], first["revision"]) == ("animals", "Some.", 1)
    second = await update(client, description="")
    assert (second["name"], second["description"]) == ("animals", "")
    assert await update(client, name="animals") == second


async def test_what_changing_a_dataset_refuses(client: DatasetClient) -> None:
    await create(client, syncNow=False)
    for input_, code in (
        ({"name": "zoo"}, "DATASET_ALREADY_EXISTS"),
        ({"name": "a b"}, "INVALID_NAME"),
        ({"description": "x" * 257}, "VALIDATION_FAILED"),
    ):
        assert (await refused(client, "updateDataset", datasetId=client.dataset, **input_))[0] == code
    assert (await refused(client, "updateDataset", datasetId="Dataset:999", name="x"))[0] == "DATASET_NOT_FOUND"


async def test_deletes_a_dataset_and_frees_its_name(client: DatasetClient) -> None:
    made = await create(client)
    id, job = made["dataset"]["id"], made["job"]["id"]
    assert await client.mutate("deleteDataset", "deletedDatasetId", datasetId=id) == {"deletedDatasetId": id}
    query = "query ($id: ID!, $job: ID!) { dataset(by: {id: $id}) { id } node(id: $job) { id } }"
    assert await client.direct.execute(query, {"id": id, "job": job}) == {"dataset": None, "node": None}
    assert (await create(client))["dataset"]["id"] != id
    assert (await refused(client, "deleteDataset", datasetId=id))[0] == "DATASET_NOT_FOUND"
    assert (await refused(client, "cancelJob", jobId=job))[0] == "JOB_NOT_FOUND"
    assert (client.root / "images" / "000000.jpg").exists()


async def test_what_a_deleted_dataset_had_is_not_found(client: DatasetClient) -> None:
    await client.mutate("deleteDataset", "deletedDatasetId", datasetId=client.dataset)
    query = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { change { id } } }"
    answer = await client.direct.answer(query, {"input": {"labelId": client.label("cat"), "name": "x"}})
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"


async def test_a_deleted_dataset_is_purged_by_a_job(client: DatasetClient) -> None:
    await client.mutate("deleteDataset", "deletedDatasetId", datasetId=client.dataset)
    async with client.direct.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM job WHERE kind = 'PURGE' AND status = 'QUEUED'") == 1


async def test_starts_a_sync_and_refuses_a_second_one(client: DatasetClient) -> None:
    options: dict[str, Any] = {"existing": "OVERWRITE", "removeMissing": False, "restoreRemoved": True}
    payload = await client.mutate("syncDataset", "job { id status }", datasetId=client.dataset, **options)
    assert payload["job"]["status"] == "QUEUED"
    async with client.direct.database.reading() as reader:
        assert await reader.fetchval("SELECT arguments ->> 'existing' FROM job") == "OVERWRITE"
    second = await refused(client, "syncDataset", datasetId=client.dataset)
    assert second == ("SYNC_ALREADY_RUNNING", {"jobId": payload["job"]["id"]})
    assert (await refused(client, "syncDataset", datasetId="Dataset:999"))[0] == "DATASET_NOT_FOUND"


async def test_a_sync_may_be_asked_to_remove_many_and_to_verify_contents(client: DatasetClient) -> None:
    await client.mutate("syncDataset", "job { id }", datasetId=client.dataset, removeMany=True, verifyContents=True)
    async with client.direct.database.reading() as reader:
        arguments = orjson.loads(await reader.fetchval("SELECT arguments::text FROM job"))
    assert (arguments["remove_many"], arguments["verify_contents"]) == (True, True)


async def test_a_sync_that_would_remove_too_many_says_how_many(client: DatasetClient) -> None:
    id = (await client.mutate("syncDataset", "job { id }", datasetId=client.dataset))["job"]["id"]
    database = client.direct.database
    claim = await jobs.claim(database, 7)
    assert claim is not None
    refused = Conflict("Too many.", code="TOO_MANY_REMOVED", wouldRemove=150, samples=200)
    await jobs.finish(database, claim, "FAILED", refused)
    query = (
        "query ($id: ID!) { node(id: $id) { ... on SyncJob { error { code message wouldRemoveCount sampleCount } } } }"
    )
    error = (await client.direct.execute(query, {"id": id}))["node"]["error"]
    assert error == {"code": "TOO_MANY_REMOVED", "message": "Too many.", "wouldRemoveCount": 150, "sampleCount": 200}


async def test_cancels_a_waiting_job_at_once_and_only_once(client: DatasetClient) -> None:
    id = (await client.mutate("syncDataset", "job { id }", datasetId=client.dataset))["job"]["id"]
    selection = "job { __typename id status ... on SyncJob { scannedCount } }"
    canceled = {"job": {"__typename": "SyncJob", "id": id, "status": "CANCELED", "scannedCount": 0}}
    assert await client.mutate("cancelJob", selection, jobId=id) == canceled
    assert await client.mutate("cancelJob", selection, jobId=id) == canceled
    await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)


@pytest.mark.parametrize("id", ["SyncJob:999", "Sample:1", "x", ""])
async def test_unknown_jobs_are_not_found(client: DatasetClient, id: str) -> None:
    assert (await refused(client, "cancelJob", jobId=id))[0] == "JOB_NOT_FOUND"


async def test_a_confined_token_meets_no_job_of_others(client: DatasetClient) -> None:
    id = (await client.mutate("syncDataset", "job { id }", datasetId=client.dataset))["job"]["id"]
    query = "mutation ($input: CancelJobInput!) { cancelJob(input: $input) { job { id } } }"
    answer = await client.confined_to(999).direct.answer(query, {"input": {"jobId": id}})
    assert answer["errors"][0]["extensions"]["code"] == "JOB_NOT_FOUND"
