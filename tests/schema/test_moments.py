"""How moments are answered and taken: milliseconds in UTC outside, microseconds inside."""

from datetime import UTC, datetime
from typing import Any

import pytest

from db.postgres import sql
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import label

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


ORDERED = """query ($d: ID!, $after: String, $direction: OrderDirection!, $time: TimeFilter) { dataset(by: {id: $d}) {
    samples(first: 1, after: $after, orderBy: {field: LABELED_AT, direction: $direction}, filter: {labeledAt: $time}) {
        nodes { id labeledAt annotations { labeledAt } } pageInfo { endCursor hasNextPage } } } }"""


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_moments_without_end_that_imports_once_wrote_are_answered_as_the_first_and_the_last(
    client: DatasetClient, direction: str
) -> None:
    await label(client, ["dog"], 0, 1, 2)
    async with client.direct.database.writing() as session:
        for position, moment in ((0, "-infinity"), (1, "-infinity"), (2, "infinity")):
            for table, key in (("sample", "id"), ("annotation", "sample_id")):
                statement = f"UPDATE {table} SET labeled_at = '{moment}' WHERE {key} = :id"
                await sql.run(session, statement, id=client.dataset_rows.samples[position])
    values: dict[str, Any] = {"d": client.dataset, "direction": direction, "time": {"from": "0001-01-01T00:00:00Z"}}
    found = (await client.direct.execute(ORDERED, values))["dataset"]["samples"]["nodes"]
    assert [(node["id"], node["labeledAt"]) for node in found] == [(client.ids(2)[0], "9999-12-31T23:59:59.999Z")]

    pages, after = list[Any](), None
    for _ in range(6):
        values = {"d": client.dataset, "direction": direction, "after": after}
        page = (await client.direct.execute(ORDERED, values))["dataset"]["samples"]
        pages += page["nodes"]
        after = page["pageInfo"]["endCursor"]
    assert {node["id"] for node in pages} == {*client.ids(0, 1, 2, 3, 4, 5)}
    first = next(node for node in pages if node["id"] == client.ids(0)[0])
    assert (first["labeledAt"], first["annotations"][0]["labeledAt"]) == ("0001-01-01T00:00:00.000Z",) * 2


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", 6),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", 0),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 0),
    ],
)
async def test_periods_from_the_first_or_until_the_last_moment(
    client: DatasetClient, start: str, end: str, count: int
) -> None:
    assert len((await read(client, time={"from": start, "to": end}))["nodes"]) == count
