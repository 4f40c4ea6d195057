"""How moments are answered and taken: milliseconds in UTC outside, microseconds inside."""

from datetime import UTC, datetime
from typing import Any

import pytest

from db.postgres import sql
from tests.schema.mutation_fixture import DatasetClient

QUERY = """query ($d: ID!, $time: TimeFilter, $first: Int, $after: String) { dataset(by: {id: $d}) {
    samples(first: $first, after: $after, filter: {createdAt: $time}) {
        nodes { id createdAt labeledAt } pageInfo { endCursor } } } }"""
MOMENTS = ("2026-11-29T18:00:00.123456Z", "2026-11-29T18:00:00.123999Z", "2026-11-29T18:00:00Z")


async def made_at(client: DatasetClient, *moments: str) -> None:
    """The first samples were made at these moments."""
    async with client.direct.database.writing() as session:
        for position, moment in enumerate(moments):
            await sql.run(
                session,
                "UPDATE sample SET created_at = :moment WHERE id = :id",
                moment=datetime.fromisoformat(moment),
                id=client.dataset_rows.samples[position],
            )


async def read(client: DatasetClient, **variables: Any) -> Any:
    values = {"d": client.dataset, "time": None, "first": 100, **variables}
    return (await client.direct.execute(QUERY, values))["dataset"]["samples"]


async def test_answers_have_milliseconds_which_are_cut_off(client: DatasetClient) -> None:
    await made_at(client, *MOMENTS)
    found = {node["id"]: node["createdAt"] for node in (await read(client))["nodes"]}
    assert [found[id] for id in client.ids(0, 1, 2)] == [
        *("2026-11-29T18:00:00.123Z", "2026-11-29T18:00:00.123Z", "2026-11-29T18:00:00.000Z"),
    ]
    assert {node["labeledAt"] for node in (await read(client))["nodes"]} == {None}


async def test_pages_are_exact_to_the_microsecond(client: DatasetClient) -> None:
    await made_at(client, *MOMENTS)
    every = [node["id"] for node in (await read(client))["nodes"]]
    found, after = [], None
    for _ in every:
        page = await read(client, first=1, after=after)
        found += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert found == every
    assert len(set(found)) == 6


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+0000"])
async def test_filters_are_exact_to_the_microsecond(client: DatasetClient, zone: str) -> None:
    await made_at(client, *MOMENTS)
    start = MOMENTS[1].replace("Z", zone)
    end = datetime.fromisoformat(MOMENTS[1]).astimezone(UTC).isoformat()
    found = (await read(client, time={"from": start, "to": end}))["nodes"]
    assert [node["id"] for node in found] == client.ids(1)
