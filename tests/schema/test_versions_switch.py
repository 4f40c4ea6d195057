"""Switching the working set to a version."""

from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import dataset, label, publish


async def test_switching_brings_back_samples_labels_names_and_ids(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    version = await publish(client)
    before = await dataset(client)
    await client.mutate("renameLabel", "affectedSampleCount", labelId=client.label("cat"), name="Feline")
    await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "cat"}])
    await label(client, ["cat"], 1, 2, mode="SET")
    await client.mutate("deleteLabels", "deletedSampleCount", labelIds=[client.label("dog")], mode="LABEL_ONLY")
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(0)})
    payload = await client.mutate(
        "setCurrentVersion",
        "dataset { revision hasUnpublishedChanges }",
        versionId=version["id"],
        onUnpublished="DISCARD",
    )
    assert payload["dataset"] == {"revision": 8, "hasUnpublishedChanges": False}
    after = await dataset(client)
    assert {**after, "revision": 0} == {**before, "revision": 0}
    assert await client.labelled() == {0: ["cat"], 1: ["cat"], 2: [], 3: [], 4: [], 5: []}
    await client.check()


async def test_switching_is_refused_while_there_are_unpublished_changes(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    refused = await client.refused("setCurrentVersion", versionId=version["id"])
    assert (refused["code"], refused["details"]["revision"]) == ("UNPUBLISHED_CHANGES", 2)


async def test_switching_twice_changes_nothing_the_second_time(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    await publish(client)
    for _ in range(2):
        payload = await client.mutate("setCurrentVersion", "dataset { revision }", versionId=version["id"])
        assert payload["dataset"]["revision"] == 3


async def test_a_switch_is_undone_with_what_the_working_set_was_based_on(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    await publish(client)
    await client.mutate("setCurrentVersion", "dataset { revision }", versionId=version["id"])
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 1) { nodes { id kind } } } }"
    [change] = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    assert change["kind"] == "SET_CURRENT_VERSION"
    await client.mutate("undoChange", "change { id }", changeId=change["id"])
    found = await dataset(client)
    assert (found["currentVersion"], found["hasUnpublishedChanges"]) == ({"name": "V002"}, False)
    assert (await client.labelled())[0] == ["cat"]


async def test_publishing_and_switching_wait_for_a_sync(client: DatasetClient) -> None:
    version = await publish(client)
    payload = await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)
    for field, input in (
        ("publishVersion", {"datasetId": client.dataset}),
        ("setCurrentVersion", {"versionId": version["id"]}),
    ):
        refused = await client.refused(field, **input)
        assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", payload["job"]["id"])
