"""What deleting source files means for others, asked beforehand."""

from typing import Any

from tests.schema.mutation_fixture import DatasetClient

IMPACT = """query ($d: ID!, $s: SampleSelectionInput!) { dataset(by: {id: $d}) { deleteImpact(select: $s) {
    sampleCount sharedSourceCount versions { name } datasets { name } } } }"""


async def impact(client: DatasetClient, **select: Any) -> Any:
    found = await client.direct.execute(IMPACT, {"d": client.dataset, "s": select})
    return found["dataset"]["deleteImpact"]


async def delete(client: DatasetClient, *positions: int) -> None:
    await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(*positions)}
    )


async def test_versions_that_show_a_file_are_named(client: DatasetClient) -> None:
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset, name="all")
    await delete(client, 0, 1)
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset, name="four")
    expected = {
        "sampleCount": 2,
        "sharedSourceCount": 0,
        "versions": [{"name": "four"}, {"name": "all"}],
        "datasets": [],
    }
    assert await impact(client, ids=client.ids(2, 3)) == expected
    assert (await impact(client, filter={}))["sampleCount"] == 4
    assert (await impact(client, filter={"labels": {"names": ["cat"]}}))["versions"] == []


async def test_a_sample_that_was_changed_since_still_counts(client: DatasetClient) -> None:
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    select = {"ids": client.ids(0)}
    await client.mutate("labelSamples", "changedCount", datasetId=client.dataset, select=select, labels=["cat"])
    assert (await impact(client, ids=client.ids(0)))["versions"] == [{"name": "V001"}]


async def test_it_says_the_same_as_a_dry_run(client: DatasetClient) -> None:
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    payload = await client.mutate(
        "deleteSamples",
        "impacts { sampleCount sharedSourceCount versions { name } datasets { name } }",
        datasetId=client.dataset,
        select={"ids": client.ids(0, 1)},
        deleteSources=True,
        dryRun=True,
    )
    assert payload["impacts"] == [await impact(client, ids=client.ids(0, 1))]


async def test_an_empty_selection_is_refused(client: DatasetClient) -> None:
    answer = await client.direct.answer(IMPACT, {"d": client.dataset, "s": {"ids": []}})
    assert answer["errors"][0]["extensions"]["code"] == "EMPTY_SELECTION"
