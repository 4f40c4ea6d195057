"""Publishing, reading, deleting: what a client sees of versions."""

import asyncio
from typing import Any

import pytest

from db.history import versions
from db.history.transactions import write
from db.postgres import sql
from tests.db import dataset_rows
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import VERSION, dataset, in_version, label, publish, read


async def test_a_version_gets_the_next_default_name_and_becomes_current(client: DatasetClient) -> None:
    first = await publish(client)
    second = await publish(client, description="the second")
    assert (first["name"], first["parent"], first["status"]) == ("V001", None, "READY")
    assert (second["name"], second["parent"]["name"], second["description"]) == ("V002", "V001", "the second")
    assert (second["isCurrent"], second["createdBy"], second["statistics"]["totalCount"]) == (True, "ann", 6)
    found = await dataset(client)
    assert found["currentVersion"] == {"name": "V002"}
    assert [each["name"] for each in found["versions"]["nodes"]] == ["V002", "V001"]
    assert found["revision"] == 1


async def test_default_names_are_never_given_twice_and_skip_those_that_are_taken(client: DatasetClient) -> None:
    first = await publish(client)
    await publish(client, name="V002")
    await client.mutate("deleteVersion", "deletedVersionId", versionId=first["id"])
    third = await publish(client)
    await client.mutate("deleteVersion", "deletedVersionId", versionId=third["id"])
    assert (third["name"], (await publish(client))["name"]) == ("V003", "V004")


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "é", "a\n", "../V1"])
async def test_a_bad_name_is_refused(client: DatasetClient, name: str) -> None:
    assert (await client.refused("publishVersion", datasetId=client.dataset, name=name))["code"] == "INVALID_NAME"


async def test_a_name_that_is_taken_is_refused(client: DatasetClient) -> None:
    await publish(client, name="猫-1")
    refused = await client.refused("publishVersion", datasetId=client.dataset, name="猫-1")
    assert (refused["code"], refused["modelartsCode"]) == ("VERSION_ALREADY_EXISTS", "ModelArts.4371")


async def test_a_dataset_without_samples_is_not_published(client: DatasetClient) -> None:
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"all": True})
    assert (await client.refused("publishVersion", datasetId=client.dataset))["code"] == "EMPTY_VERSION"


async def test_an_unknown_dataset_or_version_is_not_found(client: DatasetClient) -> None:
    assert (await client.refused("publishVersion", datasetId="Dataset:99"))["code"] == "DATASET_NOT_FOUND"
    assert (await client.refused("deleteVersion", versionId="Version:99"))["code"] == "VERSION_NOT_FOUND"
    assert (await client.refused("setCurrentVersion", versionId="nonsense"))["code"] == "VERSION_NOT_FOUND"
    assert (await client.direct.execute(VERSION, {"v": "Version:99"}))["node"] is None


async def test_a_token_confined_to_other_datasets_sees_no_version(client: DatasetClient) -> None:
    version = await publish(client)
    stranger = client.confined_to(99)
    assert (await stranger.direct.execute(VERSION, {"v": version["id"]}))["node"] is None
    answer = await stranger.direct.answer(
        "mutation ($v: ID!) { deleteVersion(input: {versionId: $v}) { deletedVersionId } }", {"v": version["id"]}
    )
    assert answer["errors"][0]["extensions"]["code"] == "VERSION_NOT_FOUND"


async def test_a_version_answers_as_on_the_day_it_was_published(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1, 2)
    await label(client, ["dog"], 2, 3)
    version = await publish(client)
    before = await read(client, version)
    await client.mutate("renameLabel", "affectedSampleCount", labelId=client.label("cat"), name="Feline")
    await client.mutate("deleteLabels", "deletedSampleCount", labelIds=[client.label("dog")], mode="LABEL_AND_SAMPLES")
    await label(client, ["Feline"], 4, 5)
    await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(0, 4)}
    )
    assert await read(client, version) == before
    assert [each["name"] for each in before["labels"]] == ["cat", "dog"]
    assert [each["sampleCount"] for each in before["labels"]] == [3, 2]
    assert before["statistics"] == {"totalCount": 6, "labeledCount": 4, "unlabeledCount": 2, "pendingCount": 0}


async def test_samples_of_a_version_whose_files_are_gone_say_so(client: DatasetClient) -> None:
    version = await publish(client)
    deleted = await client.mutate(
        "deleteSamples",
        "impacts { sampleCount versions { name } }",
        datasetId=client.dataset,
        select={"ids": client.ids(1)},
        deleteSources=True,
    )
    async with client.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000001.jpg'")
    assert deleted["impacts"] == [{"sampleCount": 1, "versions": [{"name": "V001"}]}]
    found = await read(client, version)
    assert [each["isSourceAvailable"] for each in found["samples"]["nodes"]] == [True, False, True, True, True, True]


@pytest.mark.parametrize(
    ("filter_", "positions"),
    [
        ({"labels": {"names": ["cat"]}}, [0, 1, 2]),
        ({"labels": {"names": ["cat", "dog"], "match": "ALL"}}, [2]),
        ({"labels": {"names": ["cat", "dog"], "match": "NONE"}}, [4, 5]),
        ({"labels": {"names": ["Feline"]}}, []),
        ({"labels": {"names": ["Feline", "cat"], "match": "ALL"}}, []),
        ({"state": "LABELED"}, [0, 1, 2, 3]),
        ({"usage": "TRAIN"}, [0, 1, 2, 3]),
        ({"usage": "EVAL"}, []),
        ({"not": {"usage": "TRAIN"}}, [4, 5]),
        ({"fileName": {"contains": "3.JP"}}, [3]),
        ({"fileName": {"eq": "000004.jpg"}}, [4]),
        ({"path": {"contains": "00005"}}, [5]),
        ({"labeledBy": ["ann"]}, [0, 1, 2, 3]),
        ({"labeledBy": ["bob"]}, []),
        ({"isHard": True}, []),
        ({"annotationCount": {"min": 1}}, [0, 1, 2, 3]),
        ({"annotationCount": {"eq": 2}}, [2]),
        ({"labeledAt": {"preset": "WITHIN_1_DAY"}}, [0, 1, 2, 3]),
        ({"not": {"labeledAt": {"to": "2099-01-01T00:00:00Z"}}}, [4, 5]),
        ({"path": {"startsWith": "00000"}}, [0, 1, 2, 3, 4, 5]),
        ({"path": {"in": ["000005.jpg", "000001.jpg"]}}, [1, 5]),
        ({"isSourceAvailable": True, "size": {"min": 0}}, [0, 1, 2, 3, 4, 5]),
        ({"createdAt": {"to": "2026-01-01T00:01:00Z"}}, [0, 1]),
        ({"or": [{"labels": {"names": ["dog"]}}, {"state": "UNLABELED"}]}, [2, 3, 4, 5]),
    ],
)
async def test_a_version_is_filtered_as_the_working_set_was(
    client: DatasetClient, filter_: dict[str, Any], positions: list[int]
) -> None:
    await label(client, ["cat"], 0, 1, 2)
    await label(client, ["dog"], 2, 3)
    version = await publish(client)
    await client.mutate("renameLabel", "affectedSampleCount", labelId=client.label("cat"), name="Feline")
    await label(client.as_somebody("bob"), ["dog"], 0, 1, 2, 3, 4, mode="SET")
    await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(3, 5)}
    )
    for order in ("CREATED_AT", "PATH"):
        samples = (await read(client, version, f=filter_, o={"field": order}))["samples"]
        assert [each["id"] for each in samples["nodes"]] == [
            in_version(id, version["id"]) for id in client.ids(*positions)
        ]
        assert samples["totalCount"] == len(positions)


@pytest.mark.parametrize("field", ["CREATED_AT", "ADDED_AT", "LABELED_AT", "PATH", "SIZE", "RANDOM"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_a_version_is_in_the_order_that_the_working_set_was_in(
    client: DatasetClient, field: str, direction: str
) -> None:
    order = {"field": field, "direction": direction}
    query = """query ($d: ID!, $o: SampleOrderInput) { dataset(by: {id: $d}) {
        samples(orderBy: $o) { nodes { id } } } }"""
    await label(client, ["cat"], 3)
    await label(client, ["cat"], 1)
    before = await client.direct.execute(query, {"d": client.dataset, "o": order})
    version = await publish(client)
    await label(client, ["dog"], 0, 3, 4)
    await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(1, 2)}
    )
    nodes = (await read(client, version, o=order))["samples"]["nodes"]
    assert [each["id"] for each in nodes] == [
        in_version(each["id"], version["id"]) for each in before["dataset"]["samples"]["nodes"]
    ]


async def test_pages_of_a_version_hold_each_sample_once_while_others_label(client: DatasetClient) -> None:
    version = await publish(client)
    query = """query ($v: ID!, $a: String) { node(id: $v) { ... on Version {
        samples(first: 2, after: $a) { nodes { id } pageInfo { hasNextPage endCursor } } } } }"""
    found: list[str] = []
    cursor, page = None, {}
    for position in range(3):
        page = (await client.direct.execute(query, {"v": version["id"], "a": cursor}))["node"]["samples"]
        found += [each["id"] for each in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        await label(client, ["cat"], position, 5 - position)
    assert found == [in_version(id, version["id"]) for id in client.ids(5, 4, 3, 2, 1, 0)]
    assert not page["pageInfo"]["hasNextPage"]


async def test_many_versions_are_read_with_their_samples_in_one_statement(client: DatasetClient) -> None:
    for position in range(3):
        await label(client, ["cat"], position)
        await publish(client)
    query = """query ($d: ID!) { dataset(by: {id: $d}) { currentVersion { name samples { totalCount } }
        versions { nodes { name samples(filter: {labels: {names: ["cat"]}}) {
            totalCount nodes { labels { name } } } } } } }"""
    found = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]
    assert found["currentVersion"] == {"name": "V003", "samples": {"totalCount": 6}}
    assert [each["samples"]["totalCount"] for each in found["versions"]["nodes"]] == [3, 2, 1]
    assert found["versions"]["nodes"][0]["samples"]["nodes"][0]["labels"] == [{"name": "cat"}]


async def test_a_version_in_a_list_names_its_own_dataset(client: DatasetClient) -> None:
    """Also where its number is that of another dataset."""
    await dataset_rows.make(client.direct.database, name="other")
    versions = [await publish(client), await publish(client)]
    query = "query ($d: ID!) { dataset(by: {id: $d}) { versions { nodes { id dataset { id } } } } }"
    found = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["versions"]["nodes"]
    assert found == [{"id": version["id"], "dataset": {"id": client.dataset}} for version in reversed(versions)]


async def test_whether_there_are_unpublished_changes_is_reported(client: DatasetClient) -> None:
    assert (await dataset(client))["hasUnpublishedChanges"]
    await publish(client)
    assert not (await dataset(client))["hasUnpublishedChanges"]
    change = await label(client, ["cat"], 0)
    assert (await dataset(client))["hasUnpublishedChanges"]
    await client.mutate("undoChange", "change { id }", changeId=change)
    assert not (await dataset(client))["hasUnpublishedChanges"]


async def test_deleting_the_current_version_leaves_none_and_children_without_a_parent(client: DatasetClient) -> None:
    first, second = await publish(client), await publish(client)
    payload = await client.mutate(
        "deleteVersion", "deletedVersionId dataset { currentVersion { name } }", versionId=first["id"]
    )
    assert payload == {"deletedVersionId": first["id"], "dataset": {"currentVersion": {"name": "V002"}}}
    assert (await dataset(client))["versions"]["nodes"] == [{"name": "V002", "isCurrent": True, "parent": None}]
    await client.mutate("deleteVersion", "deletedVersionId", versionId=second["id"])
    found = await dataset(client)
    assert (found["currentVersion"], found["hasUnpublishedChanges"], found["statistics"]["totalCount"]) == (
        None,
        True,
        6,
    )


async def test_a_version_never_holds_half_an_operation(client: DatasetClient) -> None:
    """Each operation labels samples 0 and 1 alike, so in every version they are alike."""
    ids = client.dataset_rows.id

    async def work(names: list[str]) -> None:
        for turn in range(15):
            await label(client, [names[turn % 2]], 0, 1, mode="SET")

    async def publishing() -> list[int]:
        made = []
        for _ in range(15):
            outcome = await write(
                client.direct.database,
                lambda session: versions.publish(session, ids, by=client.direct.identity),
                versions.Published,
            )
            made.append(outcome.version)
        return made

    _, _, made = await asyncio.gather(work(["cat", "dog"]), work(["dog", "cat"]), publishing())
    for version in made:
        found = await read(client, {"id": f"Version:{version}"})
        first, second = found["samples"]["nodes"][:2]
        assert first["labels"] == second["labels"]
        carrying = {name["name"]: name["sampleCount"] for name in found["labels"]}
        assert sum(carrying.values()) == found["statistics"]["labeledCount"] in (0, 2)
    await client.check()


async def test_a_retried_publication_is_carried_out_once(client: DatasetClient) -> None:
    first = await client.mutate("publishVersion", "version { name }", key="k1", datasetId=client.dataset)
    again = await client.mutate("publishVersion", "version { name }", key="k1", datasetId=client.dataset)
    assert first == again
    assert (await dataset(client))["versions"]["totalCount"] == 1
