"""Splitting the labelled samples of a version."""

import pytest

from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import label

USAGE = """version { id
    samples(first: 100, orderBy: {field: CREATED_AT}) { nodes { current { id } usage labels { name } } } }"""


async def split(client: DatasetClient, ratio: float, seed: int = 0) -> dict[str, str | None]:
    payload = await client.mutate(
        "publishVersion", USAGE, datasetId=client.dataset, split={"trainRatio": ratio, "seed": seed}
    )
    return {each["current"]["id"]: each["usage"] for each in payload["version"]["samples"]["nodes"]}


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


async def test_a_label_on_one_sample_cannot_be_split(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 2)
    refused = await client.refused("publishVersion", datasetId=client.dataset, split={"trainRatio": 0.8})
    assert (refused["code"], refused["details"]["labels"]) == ("SPLIT_CONDITIONS_NOT_MET", ["dog"])


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
async def test_a_ratio_outside_of_its_bounds_is_refused(client: DatasetClient, ratio: float) -> None:
    refused = await client.refused("publishVersion", datasetId=client.dataset, split={"trainRatio": ratio})
    assert refused["code"] == "VALIDATION_FAILED"
