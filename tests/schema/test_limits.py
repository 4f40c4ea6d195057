"""The limits of pages and ids, as the settings say: refused beyond them, shown by `serverInfo`, and counted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.server_configuration import document_limits
from api.settings import Limits, Settings
from db.postgres.engine import Database
from schema import build_schema
from tests.schema.mutation_fixture import DatasetClient, create_client

PAGES = """query ($id: ID!, $first: Int, $last: Int) { dataset(by: {id: $id}) {
    samples(first: $first, last: $last) { nodes { id } pageInfo { hasNextPage } } } }"""


async def limited(database: Database, root: Path, samples: int, **limits: int) -> DatasetClient:
    client = await create_client(database, root, samples=samples)
    settings = Settings(allowed_roots=(root.resolve(),), limits=Limits(**limits))
    schema = build_schema(document_limits(settings.limits))
    return replace(client, direct=replace(client.direct, schema=schema, settings=settings))


async def ask(client: DatasetClient, query: str, **variables: Any) -> Any:
    return await client.direct.answer(query, {"id": client.dataset, **variables})


async def test_a_page_holds_as_many_as_the_setting_says(database: Database, tmp_path: Path) -> None:
    client = await limited(database, tmp_path, 6, page=4)
    assert await ask(client, "{ serverInfo { maxPageSize } }") == {"data": {"serverInfo": {"maxPageSize": 4}}}
    for input_ in ({}, {"first": 4}):
        page = (await ask(client, PAGES, **input_))["data"]["dataset"]["samples"]
        assert (len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (4, True)
    for name in ("first", "last"):
        [error] = (await ask(client, PAGES, **{name: 5}))["errors"]
        assert error["message"] == f"`{name}` must be a number from 0 to 4, and is 5."


async def test_a_larger_page_is_given_and_counted(database: Database, tmp_path: Path) -> None:
    client = await limited(database, tmp_path, 120, page=120)
    page = (await ask(client, PAGES, first=120))["data"]["dataset"]["samples"]
    assert len(page["nodes"]) == 120
    costs = [client.direct.schema.documents.prepare(PAGES).cost({"first": first}) for first in (110, 120, 1_000)]
    assert costs[0] < costs[1] == costs[2]


async def test_nodes_takes_as_many_ids_as_a_page(database: Database, tmp_path: Path) -> None:
    client = await limited(database, tmp_path, 6, page=4)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert len((await ask(client, query, ids=client.ids(0, 1, 2, 3)))["data"]["nodes"]) == 4
    [error] = (await ask(client, query, ids=client.ids(0, 1, 2, 3, 4)))["errors"]
    assert error["message"] == "Ask for at most 4 ids at once."


@pytest.mark.parametrize("count", [3, 4])
async def test_a_mutation_and_its_forecast_take_as_many_ids(count: int, database: Database, tmp_path: Path) -> None:
    client = await limited(database, tmp_path, 6, ids=3)
    select = {"ids": client.ids(*range(count))}
    forecast = await ask(
        client,
        "query ($id: ID!, $select: SampleSelectionInput!) { dataset(by: {id: $id}) { deleteImpact(select: $select) "
        "{ sampleCount } } }",
        select=select,
    )
    labelled = await client.direct.answer(
        "mutation ($input: LabelSamplesInput!) { labelSamples(input: $input) { matchedCount } }",
        {"input": {"datasetId": client.dataset, "select": select, "labels": ["cat"]}},
    )
    if count == 3:
        assert forecast["data"]["dataset"]["deleteImpact"]["sampleCount"] == 3
        assert labelled["data"]["labelSamples"]["matchedCount"] == 3
    else:
        assert {answer["errors"][0]["extensions"]["code"] for answer in (forecast, labelled)} == {"VALIDATION_FAILED"}
