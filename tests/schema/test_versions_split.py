"""Splitting the labelled samples of a version."""

from collections import Counter
from typing import Any

import pytest

from db.postgres.sql import connection_of
from tests.db.dataset_rows import make
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import label

USAGE = """split { trainCount evalCount testCount } version { id
    samples(first: 100, orderBy: {field: CREATED_AT}) { nodes { current { id } usage labels { name } } } }"""


async def split(client: DatasetClient, ratio: float, seed: int = 0) -> dict[str, str | None]:
    return (await published(client, trainRatio=ratio, seed=seed))[1]


async def published(client: DatasetClient, **split: Any) -> tuple[str, dict[str, str | None]]:
    """The version, and what its samples are for."""
    payload = await client.mutate("publishVersion", USAGE, datasetId=client.dataset, split=split)
    version = payload["version"]
    usages = {each["current"]["id"]: each["usage"] for each in version["samples"]["nodes"]}
    counts = Counter(usages.values())
    assert payload["split"] == {f"{usage.lower()}Count": counts[usage] for usage in ("TRAIN", "EVAL", "TEST")}
    return version["id"], usages


async def refusal(client: DatasetClient, split: dict[str, Any]) -> tuple[str, str]:
    """The only error's code and message."""
    query = "mutation ($input: PublishVersionInput!) { publishVersion(input: $input) { __typename } }"
    answer = await client.direct.answer(query, {"input": {"datasetId": client.dataset, "split": split}})
    [error] = answer["errors"]
    return error["extensions"]["code"], error["message"]


async def test_a_split_is_exact_stratified_and_the_same_for_a_seed(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 2, 3)
    found = await split(client, 0.5, seed=7)
    cats, dogs = [found[id] for id in client.ids(0, 1)], [found[id] for id in client.ids(2, 3)]
    assert (sorted(map(str, cats)), sorted(map(str, dogs))) == (["EVAL", "TRAIN"], ["EVAL", "TRAIN"])
    assert [found[id] for id in client.ids(4, 5)] == [None, None]
    assert await split(client, 0.5, seed=7) == found
    assert {tuple((await split(client, 0.5, seed=seed)).values()) for seed in range(8)} != {tuple(found.values())}


@pytest.mark.parametrize(("ratio", "usage"), [(0, "EVAL"), (1, "TRAIN")])
async def test_a_split_may_leave_a_side_empty_when_asked_to(client: DatasetClient, ratio: float, usage: str) -> None:
    await label(client, ["cat"], 0)
    assert (await split(client, ratio))[client.ids(0)[0]] == usage


async def test_without_a_split_nothing_is_counted(client: DatasetClient) -> None:
    payload = await client.mutate("publishVersion", "split { trainCount }", datasetId=client.dataset)
    assert payload == {"split": None}


async def test_a_label_on_one_sample_cannot_be_split(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 2)
    refused = await client.refused("publishVersion", datasetId=client.dataset, split={"trainRatio": 0.8})
    assert (refused["code"], refused["details"]["labels"]) == ("SPLIT_CONDITIONS_NOT_MET", ["dog"])


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"trainRatio": -0.1}, "`trainRatio` must be a number from 0 to 1, and is -0.1"),
        ({"trainRatio": 1.1}, "`trainRatio` must be a number from 0 to 1, and is 1.1"),
        ({"trainRatio": 0.5, "testRatio": 1.1}, "`testRatio` must be a number from 0 to 1, and is 1.1"),
        ({"trainRatio": 0.5, "evalRatio": -1}, "`evalRatio` must be a number from 0 to 1, and is -1"),
        ({"trainRatio": 0.8, "testRatio": 0.3}, "more than 1 together"),
        ({"trainRatio": 0.8, "evalRatio": 0.1, "testRatio": 0.2}, "more than 1 together"),
        ({"trainRatio": 0.7, "evalRatio": 0.1, "testRatio": 0.1}, "less than 1 together"),
    ],
)
async def test_ratios_outside_of_their_bounds_are_refused(
    client: DatasetClient, split: dict[str, float], message: str
) -> None:
    refused = await refusal(client, split)
    assert refused[0] == "VALIDATION_FAILED"
    assert message in refused[1]


async def test_what_is_for_evaluation_or_test_stays_that_in_the_next_version(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1, 2, 3)
    version, before = await published(client, trainRatio=0.5, evalRatio=0.25, testRatio=0.25)
    assert sorted(map(str, before.values())) == ["EVAL", "None", "None", "TEST", "TRAIN", "TRAIN"]
    aside = {id: usage for id, usage in before.items() if usage in ("EVAL", "TEST")}
    await label(client, ["dog"], 0, 1, 2, 3, 4, 5)
    for seed in range(4):
        _, after = await published(client, trainRatio=0.5, testRatio=0.25, seed=seed, keepFrom=version)
        assert aside.items() <= after.items()
        assert sorted(map(str, after.values())) == ["EVAL", "TEST", "TEST", "TRAIN", "TRAIN", "TRAIN"]
    wholes = "query ($v: ID!) { node(id: $v) { ... on Version { samples(filter: {usage: TEST}) { totalCount } } } }"
    assert (await client.direct.execute(wholes, {"v": version}))["node"]["samples"]["totalCount"] == 1


async def test_a_version_that_cannot_be_kept_from_is_refused_in_a_sentence(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    other = await make(client.direct.database, samples=1, name="other")
    foreign = await client.mutate("publishVersion", "version { id }", datasetId=f"Dataset:{other.id}")
    deleted, _ = await published(client, trainRatio=0.5)
    await client.mutate("deleteVersion", "deletedVersionId", versionId=deleted)
    async with client.direct.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM version_eval") == 0
    for id, code, message in (
        (foreign["version"]["id"], "VALIDATION_FAILED", "a version of another dataset"),
        (deleted, "VERSION_NOT_FOUND", "There is no such version"),
        ("Sample:1", "VERSION_NOT_FOUND", "There is no such version"),
        ("", "VERSION_NOT_FOUND", "There is no such version"),
    ):
        split = {"trainRatio": 0.5, "keepFrom": id}
        refused = await refusal(client, split)
        assert refused[0] == code
        assert message in refused[1]


async def test_directories_stay_whole_or_the_split_is_refused(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1, 2, 3)
    split = {"trainRatio": 0.5, "groupBy": "DIRECTORY"}
    refused = await refusal(client, split)
    assert refused[0] == "SPLIT_CONDITIONS_NOT_MET"
    assert "`cat` has too few directories" in refused[1]
    async with client.direct.database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("UPDATE sample SET path = CASE WHEN id % 2 = 0 THEN 'a/' ELSE 'b/' END || path")
    _, found = await published(client, **split)
    sides = [{str(found[id]) for id in client.ids(*positions)} for positions in ((0, 2), (1, 3))]
    assert sorted(map(list, sides)) == [["EVAL"], ["TRAIN"]]
