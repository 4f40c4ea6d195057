"""What the payloads of mutations have in common."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type, is_non_null_type

from db.ingest.uploads import Incoming
from schema import build_schema
from tests.db.dataset_fixture import image_bytes
from tests.schema.mutation_fixture import DatasetClient

SCHEMA = build_schema()._schema
# Those that change no working set: `updateDataset` and the like change the dataset itself, embeddings have no history,
# and a job records its changes later.
WITHOUT_CHANGE = {
    *("updateDataset", "deleteDataset", "publishVersion", "deleteVersion", "requestUploads"),
    *("requestImportUpload", "cancelUploads", "putEmbeddings", "deleteEmbeddings", "startAutoLabeling"),
    *("syncDataset", "importAnnotations", "importManifest", "exportDataset", "writeManifest", "cancelJob"),
}
WITHOUT_DATASET = {
    *("deleteDataset", "syncDataset", "importAnnotations", "importManifest", "exportDataset", "writeManifest"),
    *("cancelJob", "startAutoLabeling"),
}


def payloads() -> dict[str, GraphQLObjectType]:
    assert SCHEMA.mutation_type is not None
    return {name: get_named_type(field.type) for name, field in SCHEMA.mutation_type.fields.items()}


def has_dry_run(mutation: str) -> bool:
    assert SCHEMA.mutation_type is not None
    input_ = get_named_type(SCHEMA.mutation_type.fields[mutation].args["input"].type)
    assert isinstance(input_, GraphQLInputObjectType)
    return "dryRun" in input_.fields


def test_every_mutation_of_a_working_set_answers_the_change_and_the_dataset() -> None:
    assert {name for name, payload in payloads().items() if "change" not in payload.fields} == WITHOUT_CHANGE
    assert {name for name, payload in payloads().items() if "dataset" not in payload.fields} == WITHOUT_DATASET


@pytest.mark.parametrize("name", sorted(payloads()))
def test_a_dry_run_is_mentioned_where_there_is_one(name: str) -> None:
    payload = payloads()[name]
    described = " ".join([payload.description or "", *(field.description or "" for field in payload.fields.values())])
    assert ("dry run" in described) == has_dry_run(name)


def test_only_the_change_of_an_undo_is_always_there() -> None:
    always = {
        name for name, each in payloads().items() if is_non_null_type(getattr(each.fields.get("change"), "type", None))
    }
    assert always == {"undoChange"}


CHANGED = "change { kind } dataset { id revision }"


async def test_labels_that_are_made_and_changed_answer_their_change(client: DatasetClient) -> None:
    created = await client.mutate("createLabels", CHANGED, datasetId=client.dataset, labels=[{"name": "bird"}])
    assert created == {"change": {"kind": "CREATE_LABELS"}, "dataset": {"id": client.dataset, "revision": 2}}
    look = {"labelId": client.label("cat"), "color": "#123456"}
    updated = await client.mutate("updateLabel", CHANGED, **look)
    assert updated == {"change": {"kind": "UPDATE_LABEL"}, "dataset": {"id": client.dataset, "revision": 3}}
    again = await client.mutate("updateLabel", CHANGED, **look)
    assert again == {"change": None, "dataset": {"id": client.dataset, "revision": 3}}


async def test_publishing_answers_the_dataset_and_switching_the_change(client: DatasetClient) -> None:
    published = await client.mutate(
        "publishVersion", "version { id } dataset { currentVersion { id } }", datasetId=client.dataset
    )
    version = published["version"]["id"]
    assert published["dataset"] == {"currentVersion": {"id": version}}
    same: Any = await client.mutate("setCurrentVersion", CHANGED, versionId=version)
    assert same["change"] is None
    await client.mutate("deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": client.ids(0)})
    back = await client.mutate("setCurrentVersion", CHANGED, versionId=version, onUnpublished="DISCARD")
    assert back == {"change": {"kind": "SET_CURRENT_VERSION"}, "dataset": {"id": client.dataset, "revision": 3}}


async def test_a_new_dataset_answers_the_change_that_made_its_labels(client: DatasetClient) -> None:
    (client.root / "more").mkdir()
    (client.root / "other").mkdir()
    made: dict[str, Any] = {"inputPath": str(client.root / "more"), "labels": [{"name": "bird"}], "syncNow": False}
    answer = await client.mutate("createDataset", "change { kind }", name="more", **made)
    assert answer == {"change": {"kind": "CREATE_LABELS"}}
    made = {"inputPath": str(client.root / "other"), "syncNow": False}
    assert await client.mutate("createDataset", "change { kind }", name="other", **made) == {"change": None}


UPLOAD = """mutation ($input: UploadSamplesInput!) { uploadSamples(input: $input) { results {
    fileName sample { id path labels { name } annotations { id } } error { code } } } }"""


async def statements_of_upload(client: DatasetClient, names: list[str]) -> tuple[Any, list[str]]:
    """The results, and the statements that read samples for them."""
    files = [Incoming(name, content := image_bytes(form="JPEG"), len(content)) for name in names]
    values = {"datasetId": client.dataset, "files": files, "labels": ["cat"]}
    seen: list[str] = []
    database = client.direct.database
    async with AsyncExitStack() as stack:
        for _ in range(database.limits.readers):
            connection = await stack.enter_async_context(database.reading())
            connection.add_query_logger(lambda record: seen.append(record.query))
    data = await client.direct.execute(UPLOAD, {"input": values})
    await asyncio.sleep(0)  # loggers are called in the next turn of the event loop
    return data["uploadSamples"]["results"], [text for text in seen if "Annotation:" in text]


async def test_the_objects_in_the_items_of_a_list_are_read_by_one_statement(client: DatasetClient) -> None:
    [one], read_one = await statements_of_upload(client, ["one.jpg"])
    assert (one["sample"]["path"], len(read_one)) == ("one.jpg", 1)
    names = ["a.jpg", "b.jpg", "no suffix", "c.jpg", "one.jpg"]
    results, read_all = await statements_of_upload(client, names)
    assert len(read_all) == 1
    assert [each["fileName"] for each in results] == names
    assert [each["sample"] and each["sample"]["path"] for each in results] == ["a.jpg", "b.jpg", None, "c.jpg", None]
    assert [label["name"] for each in results if each["sample"] for label in each["sample"]["labels"]] == ["cat"] * 3
    assert {tuple(each["sample"]) for each in results if each["sample"]} == {("id", "path", "labels", "annotations")}
