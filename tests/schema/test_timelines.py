"""The lists of changes and of jobs, and their filters: compared with plain rows, and by what Postgres reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from db.postgres.engine import Database, driver_url
from db.queries import Plan, plan
from tests.schema.mutation_fixture import DatasetClient, create_client

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEOPLE = ("ann", "bob", "猫")
MANY = 100_000
FIELDS = {
    "changes": ("ChangeFilter", "at", "revision", {"kinds": "kind", "actors": "actor"}),
    "jobs": ("JobFilter", "created_at", "id", {"kinds": "kind", "statuses": "status", "requestedBy": "requested_by"}),
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "changes.kinds": ("LABEL_SAMPLES", "SYNC", "UNDO"),
    "changes.actors": (*PEOPLE, "nobody"),
    "jobs.kinds": ("SYNC", "IMPORT", "MANIFEST"),
    "jobs.statuses": ("SUCCEEDED", "FAILED", "CANCELED", "RUNNING"),
    "jobs.requestedBy": (*PEOPLE, "nobody"),
}
CHANGE = """INSERT INTO change (dataset_id, revision, kind, actor, at, summary)
    SELECT $1, row_number() OVER (), * , 'Did it' FROM unnest($2::text[], $3::text[], $4::timestamptz[])"""
JOB = """INSERT INTO job (dataset_id, kind, requested_by, created_at, status)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])"""
Row = dict[str, Any]


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    return await create_client(database, tmp_path, samples=0, labels=())


async def do(client: DatasetClient, statement: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(driver_url(client.direct.database.url))
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


def query_of(field: str, arguments: str, selected: str) -> str:
    filter_type = FIELDS[field][0]
    return (
        f"query ($d: ID!, $f: {filter_type}) {{ dataset(by: {{id: $d}}) {{ {field}({arguments}) {{ {selected} }} }} }}"
    )


async def page(client: DatasetClient, field: str, filter_: Any, arguments: str) -> Any:
    key = "... on Change { revision }" if field == "changes" else ""
    info = "pageInfo { endCursor startCursor hasNextPage hasPreviousPage }"
    query = query_of(field, f"filter: $f, {arguments}", f"totalCount nodes {{ id {key} }} {info}")
    return (await client.direct.execute(query, {"d": client.dataset, "f": filter_}))["dataset"][field]


def numbers(nodes: list[Any]) -> list[int]:
    return [int(node["id"].partition(":")[2]) for node in nodes]


# -- what is in the lists ---------------------------------------------------------------------------------------------


async def make_rows(client: DatasetClient, random: Random, count: int) -> None:
    moments, moment = [], NOON
    for _ in range(count):
        moment += timedelta(microseconds=random.choice((0, 0, 1, 10**7)))
        moments.append(moment)
    kinds, actors, statuses, job_kinds = (
        random.choices(values, k=count)
        for values in (VALUES["changes.kinds"], PEOPLE, ("SUCCEEDED", "FAILED", "CANCELED"), VALUES["jobs.kinds"])
    )
    await do(client, CHANGE, client.dataset_rows.id, kinds, actors, moments)
    random.shuffle(moments)
    await do(client, JOB, client.dataset_rows.id, job_kinds, actors, moments, statuses)


def random_filter(random: Random, field: str, rows: list[Row]) -> dict[str, Any]:
    _, moment, _, columns = FIELDS[field]
    filter_: dict[str, Any] = {}
    for name in random.sample(list(columns), random.randint(0, len(columns))):
        filter_[name] = random.choice((None, random.choices(VALUES[f"{field}.{name}"], k=random.randint(0, 3))))
    if random.random() < 0.6:
        start, end = sorted(random.choice(rows)[moment] for _ in range(2))
        period = {"from": start.isoformat(), "to": end.isoformat(), "preset": "WITHIN_1_MONTH"}
        filter_["createdAt"] = {name: period[name] for name in random.sample(["from", "to"], random.randint(0, 2))}
    return filter_


def matching(field: str, rows: list[Row], filter_: dict[str, Any]) -> list[int]:
    """The ids of the rows that match, newest first."""
    _, moment, unique, columns = FIELDS[field]
    period = filter_.get("createdAt") or {}
    found = [
        row
        for row in rows
        if all(row[column] in filter_[name] for name, column in columns.items() if filter_.get(name))
        and ("from" not in period or row[moment] >= datetime.fromisoformat(period["from"]))
        and ("to" not in period or row[moment] <= datetime.fromisoformat(period["to"]))
    ]
    return [row["id"] for row in sorted(found, key=lambda row: (row[moment], row[unique]), reverse=True)]


@pytest.mark.parametrize("field", FIELDS)
async def test_the_pages_of_every_filter_are_those_of_plain_rows(client: DatasetClient, field: str) -> None:
    random = Random(field)
    await make_rows(client, random, 60)
    rows = [dict(row) for row in await do(client, f"SELECT * FROM {field[:-1]}")]
    for _ in range(60):
        filter_ = random_filter(random, field, rows)
        expected = matching(field, rows, filter_)
        for size, forward in ((7, True), (4, False), (100, True)):
            way, cursor_name = ("first", "after") if forward else ("last", "before")
            found: list[int] = []
            cursor = ""
            while True:
                shown = await page(client, field, filter_, f"{way}: {size}{cursor}")
                assert shown["totalCount"] == len(expected), filter_
                nodes = numbers(shown["nodes"])
                found = found + nodes if forward else nodes + found
                info = shown["pageInfo"]
                assert info["hasPreviousPage" if forward else "hasNextPage"] == bool(cursor), filter_
                if not info["hasNextPage" if forward else "hasPreviousPage"]:
                    break
                cursor = f', {cursor_name}: "{info["endCursor" if forward else "startCursor"]}"'
            assert found == expected, filter_


async def test_null_and_empty_lists_are_no_condition(client: DatasetClient) -> None:
    await make_rows(client, Random(1), 5)
    nothing: tuple[Any, ...] = (None, {}, {"kinds": None, "createdAt": None}, {"kinds": [], "createdAt": {}})
    for filter_ in (*nothing, {"actors": []}, {"createdAt": {"from": None, "preset": None}}):
        assert (await page(client, "changes", filter_, "first: 9"))["totalCount"] == 5
    for filter_ in (*nothing, {"statuses": [], "requestedBy": []}):
        assert (await page(client, "jobs", filter_, "first: 9"))["totalCount"] == 5


async def test_rows_that_are_added_between_two_pages_are_on_neither(client: DatasetClient) -> None:
    await do(client, CHANGE, client.dataset_rows.id, ["SYNC", "UNDO"] * 5, ["ann"] * 10, [NOON] * 10)
    first = await page(client, "changes", {"kinds": ["UNDO"]}, "first: 2")
    await do(
        client,
        "INSERT INTO change (dataset_id, revision, kind, actor, at, summary) VALUES ($1, 11, 'UNDO', 'ann', $2, '')",
        client.dataset_rows.id,
        NOON,
    )
    cursor = first["pageInfo"]["endCursor"]
    second = await page(client, "changes", {"kinds": ["UNDO"]}, f'first: 9, after: "{cursor}"')
    assert [node["revision"] for node in (*first["nodes"], *second["nodes"])] == [10, 8, 6, 4, 2]
    assert second["totalCount"] == 6


async def test_a_filter_that_makes_no_sense_is_refused(client: DatasetClient) -> None:
    for field, name in (("changes", "actors"), ("jobs", "requestedBy")):
        query = query_of(field, "filter: $f", "totalCount")
        for filter_ in (
            {"createdAt": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}},
            {name: ["x" * 1_025]},
            {name: ["x"] * 1_001},
        ):
            [error] = (await client.direct.answer(query, {"d": client.dataset, "f": filter_}))["errors"]
            assert error["extensions"]["code"] == "VALIDATION_FAILED"
        assert (await page(client, field, {name: ["x\0", "\ud800"]}, "first: 1"))["totalCount"] == 0


async def test_changes_are_in_the_order_of_their_times_also_when_the_clock_is_set_back(
    database: Database, tmp_path: Path
) -> None:
    client = await create_client(database, tmp_path)
    await do(client, "UPDATE dataset SET updated_at = now() + interval '1 hour'")
    await client.mutate("createLabels", "change { id }", datasetId=client.dataset, labels=[{"name": "a"}])
    await client.mutate("updateDataset", "dataset { id }", datasetId=client.dataset, description="new")
    await client.mutate("createLabels", "change { id }", datasetId=client.dataset, labels=[{"name": "b"}])
    rows = await do(client, "SELECT revision, at, now() + interval '59 min' < at AS later FROM change ORDER BY at, id")
    assert [(row["revision"], row["later"]) for row in rows] == [(1, False), (2, True), (3, True)]


# -- what is read for them --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads pages of a list, and tells what Postgres reads for them."""

    client: DatasetClient
    monkeypatch: pytest.MonkeyPatch
    field: str

    async def rows_read(self, filter_: Any, arguments: str, selected: str) -> dict[str, float]:
        """The number of rows by the index, or table, that they are read from."""
        found: dict[str, float] = {}

        async def explaining(database: Database, plan: Plan, values: list[object]) -> str:
            async with database.reading() as connection:
                explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {plan.text}"
                nodes = [json.loads(await connection.fetchval(explain, *values))[0]["Plan"]]
            for node in nodes:
                nodes += node.get("Plans", ())
                name = node.get("Index Name", node.get("Relation Name", "dataset"))
                if not name.startswith("dataset"):
                    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                    found[name] = found.get(name, 0) + rows * node["Actual Loops"]
            return "{}"

        with self.monkeypatch.context() as patch:
            patch.setattr(plan, "_read", explaining)
            query = query_of(self.field, f"filter: $f, {arguments}", selected)
            await self.client.direct.answer(query, {"d": self.client.dataset, "f": filter_})
        return found


MINUTES = "$2::timestamptz + n * interval '1 min'"
HOUR = {"from": "2026-03-01T13:00:00Z", "to": "2026-03-01T14:00:00Z"}  # long before the last of them


async def test_a_page_of_a_hundred_thousand_changes_is_read_from_an_index(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await do(
        client,
        f"""INSERT INTO change (dataset_id, revision, kind, actor, at, summary)
        SELECT $1, n, CASE WHEN n < 30 THEN 'CREATE_LABELS' WHEN n % 1000 = 0 THEN 'SYNC' ELSE 'LABEL_SAMPLES' END,
               CASE WHEN n < 50 THEN 'bob' ELSE 'ann' END, {MINUTES}, '' FROM generate_series(1, $3::int) n""",
        client.dataset_rows.id,
        NOON,
        MANY,
    )
    await do(client, "VACUUM ANALYZE change")
    reader = Reader(client, monkeypatch, "changes")
    for filter_, index, most in (
        (None, "change_newest", 21),
        ({"kinds": ["CREATE_LABELS"]}, "change_kind", 21),
        ({"kinds": ["CREATE_LABELS", "SYNC", "LABEL_SAMPLES", "UNDO"]}, "change_kind", 63),
        ({"kinds": ["UNDO"]}, "change_kind", 0),
        ({"actors": ["bob"]}, "change_actor", 21),
        ({"actors": ["ann", "bob", "nobody"]}, "change_actor", 42),
        ({"createdAt": HOUR}, "change_newest", 21),
        ({"kinds": ["LABEL_SAMPLES"], "createdAt": HOUR}, "change_kind", 21),
        ({"actors": ["ann"], "createdAt": HOUR}, "change_actor", 21),
    ):
        for arguments in ("first: 20", "last: 20"):
            found = await reader.rows_read(filter_, arguments, "nodes { id }")
            assert found.keys() == {index}, (filter_, found)
            assert found[index] <= most, (filter_, found)
    for filter_, index, count in (
        ({"kinds": ["CREATE_LABELS", "SYNC"]}, "change_kind", 129),
        ({"actors": ["bob"]}, "change_actor", 49),
        ({"createdAt": HOUR}, "change_newest", 61),
    ):
        assert (await page(client, "changes", filter_, "first: 0"))["totalCount"] == count
        assert await reader.rows_read(filter_, "first: 0", "totalCount") == {index: count}


async def test_a_page_of_a_hundred_thousand_jobs_is_read_from_an_index(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await do(client, "ALTER TABLE job DISABLE TRIGGER job_inserted")
    await do(
        client,
        f"""INSERT INTO job (dataset_id, kind, status, requested_by, created_at)
        SELECT $1, CASE WHEN n < 30 THEN 'IMPORT' ELSE 'SYNC' END,
               CASE WHEN n % 3000 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, CASE WHEN n < 50 THEN 'bob' ELSE 'ann' END,
               {MINUTES} FROM generate_series(1, $3::int) n""",
        client.dataset_rows.id,
        NOON,
        MANY,
    )
    await do(client, "VACUUM ANALYZE job")
    reader = Reader(client, monkeypatch, "jobs")
    for filter_, index, most in (
        (None, "job_newest", 21),
        ({"kinds": ["IMPORT"]}, "job_kind", 21),
        ({"kinds": ["MANIFEST"]}, "job_kind", 0),
        ({"kinds": ["IMPORT", "SYNC"]}, "job_kind", 42),
        ({"statuses": ["FAILED"]}, "job_status", 21),
        ({"statuses": ["QUEUED", "RUNNING"]}, "job_status", 0),
        ({"requestedBy": ["bob"]}, "job_requested_by", 21),
        ({"statuses": ["SUCCEEDED"], "createdAt": HOUR}, "job_status", 21),
    ):
        for arguments in ("first: 20", "last: 20"):
            found = await reader.rows_read(filter_, arguments, "nodes { id }")
            assert found.keys() == {index}, (filter_, found)
            assert found[index] <= most, (filter_, found)
    for filter_, index, count in (
        ({"kinds": ["IMPORT"]}, "job_kind", 29),
        ({"statuses": ["FAILED"]}, "job_status", 33),
        ({"requestedBy": ["bob"]}, "job_requested_by", 49),
    ):
        assert (await page(client, "jobs", filter_, "first: 0"))["totalCount"] == count
        assert await reader.rows_read(filter_, "first: 0", "totalCount") == {index: count}
    # The three kinds that clients see may be read one after the other: both indexes have the hour as a range.
    for arguments, selected in (
        ("first: 20", "nodes { id }"),
        ("last: 20", "nodes { id }"),
        ("first: 0", "totalCount"),
    ):
        [(index, rows)] = (await reader.rows_read({"createdAt": HOUR}, arguments, selected)).items()
        assert index in ("job_newest", "job_kind")
        assert rows <= 61
    assert (await page(client, "jobs", {"createdAt": HOUR}, "first: 0"))["totalCount"] == 61
