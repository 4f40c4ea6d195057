"""What deleting sources would do elsewhere: queried beforehand, and the same from a dry run."""

from pathlib import Path
from typing import Any

import pytest

from db.postgres.engine import Database
from tests.client import Failed
from tests.db.dataset_rows import make
from tests.schema.mutation_fixture import DatasetClient, create_client

ASK = """query ($id: ID!, $select: SampleSelectionInput!) { node(id: $id) { ... on Dataset {
    deleteImpact(select: $select) { sampleCount sharedSourceCount datasets { name } } } } }"""
WARNING = "deletedSampleCount impacts { sampleCount sharedSourceCount datasets { name } }"


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    """Six samples; the first three files are of `same` too, and all six of `above`, whose input path is above."""
    client = await create_client(database, tmp_path)
    images = str(tmp_path / "images")
    await make(database, samples=3, name="same", input_path=images)
    await make(database, samples=6, name="above", input_path=str(tmp_path), directory="images/")
    await make(database, samples=6, name="elsewhere", input_path=f"{images}-2")
    return client


async def impact_of(client: DatasetClient, select: dict[str, Any]) -> dict[str, Any]:
    found = await client.direct.execute(ASK, {"id": client.dataset, "select": select})
    return dict(found["node"]["deleteImpact"])


async def test_names_the_datasets_that_use_the_same_files(client: DatasetClient) -> None:
    impact = await impact_of(client, {"ids": [*client.ids(2, 3, 4), "Sample:999", "nonsense"]})
    assert impact == {"sampleCount": 3, "sharedSourceCount": 3, "datasets": [{"name": "same"}, {"name": "above"}]}
    assert (await impact_of(client, {"ids": client.ids(4)}))["datasets"] == [{"name": "above"}]


async def test_is_what_a_deletion_warns_of(client: DatasetClient) -> None:
    selections: list[dict[str, Any]] = [
        {"ids": client.ids(0, 5)},
        {"filter": {"fileName": {"contains": "4"}}},
        {"all": True},
    ]
    for select in selections:
        input_: dict[str, Any] = {"datasetId": client.dataset, "select": select, "deleteSources": True, "dryRun": True}
        [warning] = (await client.mutate("deleteSamples", WARNING, **input_))["impacts"]
        assert await impact_of(client, select) == warning


async def test_a_token_is_not_shown_the_names_of_what_it_may_not_see(client: DatasetClient) -> None:
    confined = client.confined_to(client.dataset_rows.id)
    assert await impact_of(confined, {"ids": client.ids(0)}) == {
        "sampleCount": 1,
        "sharedSourceCount": 1,
        "datasets": [],
    }


async def test_names_the_versions_of_other_datasets_that_show_the_files(
    client: DatasetClient, database: Database
) -> None:
    async with database.reading() as connection:
        above = await connection.fetchval("SELECT id FROM dataset WHERE name = 'above'")
    published = await client.mutate("publishVersion", "version { id }", datasetId=f"Dataset:{above}")
    shown = await client.direct.execute('{ dataset(by: {name: "above"}) { samples { nodes { id path } } } }')
    [fourth] = [each["id"] for each in shown["dataset"]["samples"]["nodes"] if each["path"].endswith("3.jpg")]
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=f"Dataset:{above}", select={"ids": [fourth]})

    versions = await versions_of(client, client.ids(3))
    assert versions == [published["version"]["id"]]  # nobody's sample any more, and still the version's
    assert await versions_of(client.confined_to(client.dataset_rows.id), client.ids(3)) == []
    input_: dict[str, Any] = {
        "datasetId": client.dataset,
        "select": {"ids": client.ids(3)},
        "deleteSources": True,
        "dryRun": True,
    }
    [warning] = (await client.mutate("deleteSamples", "impacts { sharedSourceCount versions { id } }", **input_))[
        "impacts"
    ]
    assert warning == {"sharedSourceCount": 0, "versions": [{"id": published["version"]["id"]}]}


async def versions_of(client: DatasetClient, ids: list[str]) -> list[str]:
    query = """query ($id: ID!, $select: SampleSelectionInput!) { node(id: $id) { ... on Dataset {
        deleteImpact(select: $select) { versions { id } } } } }"""
    found = await client.direct.execute(query, {"id": client.dataset, "select": {"ids": ids}})
    return [each["id"] for each in found["node"]["deleteImpact"]["versions"]]


async def test_alone_nothing_is_shared(database: Database, tmp_path: Path) -> None:
    client = await create_client(database, tmp_path)
    assert await impact_of(client, {"filter": {}}) == {"sampleCount": 6, "sharedSourceCount": 0, "datasets": []}


async def test_nothing_selected_is_refused(client: DatasetClient) -> None:
    with pytest.raises(Failed) as failed:
        await impact_of(client, {"ids": []})
    assert failed.value.codes == ["EMPTY_SELECTION"]
