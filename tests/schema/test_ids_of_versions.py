"""One id is one thing: what a version shows has ids of its own, from which the working set is reached, and back."""

from typing import Any

import pytest

from db.errors import NotFound
from schema.execution.messages import Request
from tests.db import dataset_rows
from tests.schema.mutation_fixture import DatasetClient, schema
from tests.schema.version_fixture import in_version, label, publish

OBJECTS = """query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id
    ... on Sample { path labels { id name } version { id } current { id labels { id name } } }
    ... on Label { name dataset { id } version { id } current { id name version { id } } }
    ... on Annotation { label { id name } version { id } current { id label { id name } } } } }"""
SAMPLES = """query ($v: ID!) { node(id: $v) { ... on Version { labels { id name }
    samples(orderBy: {field: CREATED_AT}) { nodes { id labels { id } annotations { id label { id } } } } } } }"""

PROGRESS = "subscription ($id: ID!) { jobProgress(jobId: $id) { status } }"


async def nodes(client: DatasetClient, *ids: str) -> Any:
    return (await client.direct.execute(OBJECTS, {"ids": list(ids)}))["nodes"]


async def test_a_versions_objects_have_ids_of_their_own_and_are_found_by_them(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    await client.mutate("renameLabel", "label { id }", labelId=client.label("cat"), name="Feline")
    shown = (await client.direct.execute(SAMPLES, {"v": version["id"]}))["node"]
    [sample, cat] = in_version(client.ids(0)[0], version["id"]), in_version(client.label("cat"), version["id"])
    first = shown["samples"]["nodes"][0]
    assert (first["id"], first["labels"]) == (sample, [{"id": cat}])
    [annotation] = first["annotations"]
    assert {"id": cat, "name": "cat"} in shown["labels"]
    assert annotation["label"] == {"id": cat}
    found = await nodes(client, sample, cat, annotation["id"])
    old, new = {"id": cat, "name": "cat"}, {"id": client.label("cat"), "name": "Feline"}
    [is_version, live] = {"id": version["id"]}, client.ids(0)[0]
    assert found[0] == {"__typename": "Sample", "id": sample, "path": "000000.jpg", "labels": [old]} | {
        "version": is_version,
        "current": {"id": live, "labels": [new]},
    }
    assert found[1] == {"__typename": "Label", **old, "dataset": {"id": client.dataset}, "version": is_version} | {
        "current": new | {"version": None}
    }
    live_annotation = annotation["id"].partition("@")[0]
    assert found[2] == {"__typename": "Annotation", "id": annotation["id"], "label": old, "version": is_version} | {
        "current": {"id": live_annotation, "label": new}
    }
    node = OBJECTS.replace("$ids: [ID!]!", "$id: ID!").replace("nodes(ids: $ids)", "node(id: $id)")
    one = (await client.direct.execute(node, {"id": sample}))["node"]
    assert one == found[0]


async def test_an_object_of_the_working_set_is_its_own_current_one(client: DatasetClient) -> None:
    await publish(client)
    [sample, cat] = await nodes(client, client.ids(0)[0], client.label("cat"))
    assert (sample["version"], sample["current"]["id"]) == (None, sample["id"])
    assert (cat["version"], cat["current"]["id"]) == (None, cat["id"])


async def test_what_is_gone_from_the_working_set_has_no_current_object(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(0)})
    await client.mutate("deleteLabels", "deletedLabelIds", labelIds=[client.label("cat")], mode="LABEL_ONLY")
    ids = [in_version(id, version["id"]) for id in (client.ids(0)[0], client.label("cat"))]
    sample, cat = await nodes(client, *ids)
    assert (sample["id"], sample["current"], [each["name"] for each in sample["labels"]]) == (ids[0], None, ["cat"])
    assert (cat["name"], cat["current"]) == ("cat", None)


async def test_an_object_that_came_after_the_version_is_not_in_it(client: DatasetClient) -> None:
    version = await publish(client)
    made = await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "bird"}])
    await label(client, ["bird"], 0)
    sample = (await client.direct.execute(SAMPLE, {"d": client.dataset, "p": "000000.jpg"}))["dataset"]["sample"]
    later = [made["labels"][0]["id"], sample["annotations"][0]["id"]]
    assert await nodes(client, *(in_version(id, version["id"]) for id in later)) == [None, None]


async def test_a_version_shows_nothing_of_another_dataset(client: DatasetClient) -> None:
    """Revisions of all datasets begin at 1: the version's revision alone does not tell whose it is."""
    other = await dataset_rows.make(client.direct.database, samples=1, labels=("cat",), name="other")
    version = await publish(client)
    ids = [f"Sample:{other.samples[0]}", f"Label:{other.labels['cat']}"]
    assert await nodes(client, *(in_version(id, version["id"]) for id in ids)) == [None, None]
    assert [each["id"] for each in await nodes(client, *ids)] == ids


async def test_nothing_of_a_version_is_found_by_a_token_that_may_not_see_its_dataset(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    ids = [in_version(id, version["id"]) for id in (client.ids(0)[0], client.label("cat"))]
    assert await nodes(client.confined_to(client.dataset_rows.id + 1), *ids) == [None, None]


@pytest.mark.parametrize("id", ["Dataset:1@1", "Version:1@1", "Sample:1@99", "Sample:1@0", "Sample:1@", "Sample:1@1@1"])
async def test_other_ids_with_a_version_are_nobodys(client: DatasetClient, id: str) -> None:
    await publish(client)
    assert await nodes(client, id) == [None]
    assert (await client.direct.execute("query ($id: ID!) { node(id: $id) { id } }", {"id": id}))["node"] is None
    assert (await client.direct.execute(f'{{ node(id: "{id}") {{ id }} }}'))["node"] is None


async def test_an_id_of_a_version_is_refused_by_every_mutation(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    sample, cat = in_version(client.ids(0)[0], version["id"]), in_version(client.label("cat"), version["id"])
    of_dataset = {"datasetId": client.dataset}
    for field, input in (
        ("labelSamples", {**of_dataset, "select": {"ids": [sample]}, "labels": ["dog"]}),
        ("replaceSampleLabel", {**of_dataset, "select": {"ids": [sample]}, "from": "cat", "to": "dog"}),
        ("deleteSamples", {**of_dataset, "select": {"ids": [sample]}}),
        ("annotateSamples", {**of_dataset, "samples": [{"sampleId": sample, "add": [{"label": "dog"}]}]}),
        ("annotateSamples", {**of_dataset, "samples": [{"sampleId": client.ids(0)[0], "remove": ["Annotation:1@1"]}]}),
        ("renameLabel", {"labelId": cat, "name": "Feline"}),
        ("updateLabel", {"labelId": cat, "color": "#00ff00"}),
        ("deleteLabels", {"labelIds": [cat], "mode": "LABEL_ONLY"}),
    ):
        error = await client.refused(field, **input)
        assert error["code"] == "VALIDATION_FAILED", field
        assert "@" in error["details"]["id"]


async def test_a_job_has_no_other_id_in_a_version(client: DatasetClient) -> None:
    version = await publish(client)
    job = (await client.mutate("syncDataset", "job { id }", datasetId=client.dataset))["job"]["id"]
    other = in_version(job, version["id"])
    assert (await client.refused("cancelJob", jobId=other))["code"] == "JOB_NOT_FOUND"
    request = Request(schema().documents.prepare(PROGRESS), {"id": other})
    with pytest.raises(NotFound, match="no such job"):
        await anext(schema().subscribe(request, client.direct.context()))
    assert (await client.mutate("cancelJob", "job { status }", jobId=job))["job"]["status"] == "CANCELED"


async def test_a_sample_is_found_by_its_path_and_a_version_by_its_name(client: DatasetClient) -> None:
    version = await publish(client, name="first")
    query = """query ($d: ID!, $p: String!, $n: String!) { dataset(by: {id: $d}) {
        sample(path: $p) { id } version(name: $n) { id } } }"""
    found = await client.direct.execute(query, {"d": client.dataset, "p": "000002.jpg", "n": "first"})
    assert found["dataset"] == {"sample": {"id": client.ids(2)[0]}, "version": {"id": version["id"]}}
    missing = await client.direct.execute(query, {"d": client.dataset, "p": "no\0such", "n": "FIRST"})
    assert missing["dataset"] == {"sample": None, "version": None}


SAMPLE = "query ($d: ID!, $p: String!) { dataset(by: {id: $d}) { sample(path: $p) { annotations { id } } } }"
