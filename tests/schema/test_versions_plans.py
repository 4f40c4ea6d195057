"""Which rows Postgres reads for versions: shown by EXPLAIN, on a dataset that is large enough to matter."""

import re

import pytest

from db.postgres import sql
from db.postgres.engine import Database
from db.queries import Plan, plan
from tests.db.suggestion_rows import Suggested, suggest
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.schema.version_fixture import COMPARE, label, publish

SAMPLES = 3_000


@pytest.fixture
async def explained(
    database: Database, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> tuple[DatasetClient, list[str]]:
    client = await create_client(database, tmp_path, samples=SAMPLES)  # type: ignore[arg-type]
    plans: list[str] = []
    read = plan._read

    async def explaining(database: Database, plan: Plan, arguments: list[object]) -> str | None:
        async with database.reading() as connection:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {plan.text}", *arguments)
        plans.append("\n".join(row[0] for row in rows))
        return await read(database, plan, arguments)

    monkeypatch.setattr(plan, "_read", explaining)
    return client, plans


async def analyze(client: DatasetClient) -> None:
    async with client.direct.database.writing() as session:
        await sql.run(session, "ANALYZE")


async def test_comparing_reads_only_what_changed(explained: tuple[DatasetClient, list[str]]) -> None:
    client, plans = explained
    first = await publish(client)
    await label(client, ["cat"], *range(10))
    second = await publish(client)
    await label(client, ["dog"], *range(100, 120))
    await analyze(client)
    plans.clear()
    values = {"d": client.dataset, "b": first["id"], "h": second["id"]}
    found = (await client.direct.execute(COMPARE, values))["dataset"]["comparison"]
    assert found["relabeledCount"] == 10
    [text] = plans
    scans = re.findall(r"(Seq Scan|Index Scan[^\n]*?|Bitmap Heap Scan) on (sample\w*)[^\n]*?actual rows=([\d.]+)", text)
    assert scans
    assert all(table != "sample" for kind, table, _ in scans if kind == "Seq Scan"), text
    assert sum(float(rows) for _, _, rows in scans) <= 60


async def test_a_page_by_suggestions_reads_those_that_an_old_version_had(
    explained: tuple[DatasetClient, list[str]],
) -> None:
    client, plans = explained
    label = client.dataset_rows.labels["cat"]
    some = {id: [Suggested(label, (id * 7 % 100) / 100)] for id in client.dataset_rows.samples[::3]}
    await suggest(client.direct.database, client.dataset_rows.id, some)
    version = await publish(client)
    await client.mutate(
        "labelSamples", "changedCount", datasetId=client.dataset, select={"all": True}, labels=["dog"], mode="SET"
    )
    await analyze(client)
    plans.clear()
    order = "orderBy: {field: SUGGESTION_CONFIDENCE, direction: DESC}"
    query = (
        f"query ($v: ID!) {{ node(id: $v) {{ ... on Version {{ samples(first: 5, {order}) {{ nodes {{ id }} }} }} }} }}"
    )
    assert len((await client.direct.execute(query, {"v": version["id"]}))["node"]["samples"]["nodes"]) == 5
    [text] = plans
    assert "sample_past_suggestion_confidence" in text
    assert max((int(rows) for rows in re.findall(r"Rows Removed by Filter: (\d+)", text)), default=0) < 100


async def test_a_page_of_the_newest_version_walks_past_no_history(explained: tuple[DatasetClient, list[str]]) -> None:
    client, plans = explained
    for name in ("cat", "dog", "cat"):
        await client.mutate(
            "labelSamples", "changedCount", datasetId=client.dataset, select={"all": True}, labels=[name], mode="SET"
        )
    version = await publish(client)
    await analyze(client)
    plans.clear()
    query = "query ($v: ID!) { node(id: $v) { ... on Version { samples(first: 5) { nodes { id } } } } }"
    assert len((await client.direct.execute(query, {"v": version["id"]}))["node"]["samples"]["nodes"]) == 5
    [text] = plans
    removed = [int(rows) for rows in re.findall(r"Rows Removed by Filter: (\d+)", text)]
    assert max(removed, default=0) < 100
