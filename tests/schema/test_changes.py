"""What a change says it touched, compared with plain rows; and that a page that follows changes knows what to read."""

import asyncio
import re
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from db.jobs import events
from db.postgres import models, sql
from db.postgres.engine import Database
from db.queries import Plan, plan
from db.queries.types.change import LABELLING, REMOVES_NO_SAMPLE
from schema import build_schema, permissions
from schema.context import Context
from schema.enums import ChangeKind
from schema.execution.messages import Request
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.waiting import TIMEOUT, wait_until

TOUCHED = """kind revision dataset { id } sampleCount deletedSampleIds deletedSampleCount labels { id name }
    samples(first: 100) { totalCount nodes { id revision labels { name } } }"""
CHANGES = f"query ($d: ID!) {{ dataset(by: {{id: $d}}) {{ changes(first: 100) {{ nodes {{ {TOUCHED} }} }} }} }}"


def test_the_kinds_of_changes_are_those_that_are_recorded() -> None:
    assert [kind.name for kind in ChangeKind] == list(get_args(models.ChangeKind))


def test_what_labellers_may_do_is_what_they_may_undo() -> None:
    words = {re.sub("[A-Z]", lambda letter: f"_{letter[0]}", name).upper() for name in permissions.LABELLING}
    assert words - {"UNDO_CHANGE", "PUT_EMBEDDINGS"} == set(LABELLING)  # embeddings are no part of history


async def all_changes(client: DatasetClient) -> list[dict[str, Any]]:
    data = await client.direct.execute(CHANGES, {"d": client.dataset})
    return data["dataset"]["changes"]["nodes"]  # type: ignore[no-any-return]


async def select(client: DatasetClient, field: str, *positions: int, **input: Any) -> None:
    selected: Any = {"ids": client.ids(*positions)} if positions else {"all": True}
    await client.mutate(field, "change { id }", datasetId=client.dataset, select=selected, **input)


async def undo_latest(client: DatasetClient) -> None:
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 1) { nodes { id } } } }"
    data = await client.direct.execute(query, {"d": client.dataset})
    await client.mutate("undoChange", "change { id }", changeId=data["dataset"]["changes"]["nodes"][0]["id"])


async def live_through_much(client: DatasetClient) -> None:
    """A change of nearly every kind; some of what they made is gone again, or back."""
    await select(client, "labelSamples", 0, 1, 2, labels=["cat"])
    await select(client, "deleteSamples", 5)
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    await select(client, "labelSamples", labels=["dog", "bird"], createMissing=True)
    await select(client, "replaceSampleLabel", 0, 1, **{"from": "cat", "to": "dog"})
    await select(client, "deleteSamples", 0, 3)
    await undo_latest(client)
    await select(client, "deleteSamples", 4)
    await client.mutate("updateLabel", "change { id }", labelId=client.label("cat"), color="#000000")
    await client.mutate("renameLabel", "change { id }", labelId=client.label("cat"), name="Cat")
    await client.mutate("createLabels", "change { id }", datasetId=client.dataset, labels=[{"name": "gone"}])
    await undo_latest(client)
    cat = client.label("cat")
    await client.mutate("renameLabel", "change { id }", labelId=cat, name="dog", onConflict="MERGE")
    dog = client.label("dog")
    await client.mutate("deleteLabels", "change { id }", labelIds=[dog], mode="LABEL_AND_SAMPLES")
    version = (
        await client.direct.execute(
            'query ($d: ID!) { dataset(by: {id: $d}) { version(name: "V001") { id } } }', {"d": client.dataset}
        )
    )["dataset"]["version"]["id"]
    await client.mutate("setCurrentVersion", "change { id }", versionId=version, onUnpublished="DISCARD")
    await select(client, "updateSamples", 1, 2, isHard=True)


async def touched_by_rows(database: Database, revision: int) -> tuple[list[str], list[str], list[str]]:
    """What a change touched: samples and labels that are there, and samples that are gone."""
    async with database.reading() as reader:
        found: dict[str, Any] = {}
        for fact in ("sample", "label"):
            live = {row["id"]: row["since"] for row in await reader.fetch(f"SELECT id, since FROM {fact}")}
            past = await reader.fetch(f"SELECT id, since, until FROM {fact}_past")
            begun = {id for id, since in live.items() if since == revision}
            begun |= {row["id"] for row in past if row["since"] == revision}
            ended = {row["id"] for row in past if row["until"] == revision}
            found[fact] = sorted(begun & live.keys()), sorted(ended - begun - live.keys())
    samples, gone = found["sample"]
    labels, _ = found["label"]
    return [f"Sample:{id}" for id in samples], [f"Sample:{id}" for id in gone], [f"Label:{id}" for id in labels]


async def test_a_change_lists_what_it_touched(client: DatasetClient) -> None:
    await live_through_much(client)
    changes = await all_changes(client)
    kinds = {change["kind"] for change in changes}
    assert kinds >= {"LABEL_SAMPLES", "DELETE_SAMPLES", "UNDO", "MERGE_LABELS", "DELETE_LABELS", "SET_CURRENT_VERSION"}
    any_gone = False
    for change in changes:
        samples, gone, labels = await touched_by_rows(client.direct.database, change["revision"])
        assert [node["id"] for node in change["samples"]["nodes"]] == samples
        assert change["samples"]["totalCount"] == change["sampleCount"] == len(samples)
        assert (change["deletedSampleIds"], change["deletedSampleCount"]) == (gone, len(gone))
        assert [label["id"] for label in change["labels"]] == labels
        assert change["dataset"] == {"id": client.dataset}
        assert not (gone and change["kind"] in REMOVES_NO_SAMPLE)
        any_gone = any_gone or bool(gone)
    assert any_gone


async def test_what_came_back_is_not_deleted(client: DatasetClient) -> None:
    await select(client, "deleteSamples", 0, 3)
    [change, *_] = await all_changes(client)
    assert (change["deletedSampleIds"], change["sampleCount"]) == (client.ids(0, 3), 0)
    await undo_latest(client)
    [undo, change, *_] = await all_changes(client)
    assert (change["deletedSampleIds"], change["deletedSampleCount"], change["sampleCount"]) == ([], 0, 0)
    assert [node["id"] for node in undo["samples"]["nodes"]] == client.ids(0, 3)


async def test_the_first_thousand_deleted_ids_are_listed_and_all_are_counted(
    database: Database, tmp_path: Path
) -> None:
    client = await create_client(database, tmp_path, samples=1_003)
    await select(client, "deleteSamples")
    [change, *_] = await all_changes(client)
    assert change["deletedSampleIds"] == client.ids(*range(1_000))
    assert change["deletedSampleCount"] == 1_003


PAGE = """query ($c: ID!, $first: Int, $after: String, $last: Int, $before: String) { node(id: $c) { ... on Change {
    samples(first: $first, after: $after, last: $last, before: $before) {
        nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } }"""


async def test_pages_go_both_ways_and_stay_right_while_samples_go(client: DatasetClient) -> None:
    await select(client, "labelSamples", labels=["cat"])
    await select(client, "labelSamples", 1, 4, labels=["dog"])
    change = (
        await client.direct.execute(
            "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 2) { nodes { id } } } }", {"d": client.dataset}
        )
    )["dataset"]["changes"]["nodes"][1]["id"]

    async def page(**arguments: Any) -> tuple[list[str], dict[str, Any]]:
        found = (await client.direct.execute(PAGE, {"c": change, **arguments}))["node"]["samples"]
        return [node["id"] for node in found["nodes"]], found["pageInfo"]

    first, info = await page(first=2)
    assert first == client.ids(0, 1)
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, False)
    await select(client, "deleteSamples", 1, 2)
    following, info = await page(first=2, after=info["endCursor"])
    assert following == client.ids(3, 4)
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, True)
    back, info = await page(last=5, before=info["startCursor"])
    assert back == client.ids(0)
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (True, False)


# -- plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize("by", ["node", "list"])
async def test_a_page_of_a_large_change_is_read_from_its_index(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analyzed: bool, by: str
) -> None:
    client = await create_client(database, tmp_path, samples=3_000)
    if not analyzed:
        async with database.writing() as session:
            await sql.run(session, "ANALYZE")
    await select(client, "labelSamples", labels=["cat"])
    await select(client, "labelSamples", *range(0, 600, 2), labels=["dog"])  # of these, the past has the rows
    if analyzed:
        async with database.writing() as session:
            await sql.run(session, "ANALYZE")
    plans: list[str] = []
    read = plan._read

    async def explaining(database: Database, plan: Plan, arguments: list[object]) -> str | None:
        async with database.reading() as connection:
            rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {plan.text}", *arguments)
        plans.append("\n".join(row[0] for row in rows))
        return await read(database, plan, arguments)

    monkeypatch.setattr(plan, "_read", explaining)
    page = "kind deletedSampleIds samples(first: 5, after: $after) { nodes { id } pageInfo { endCursor } }"
    if by == "node":
        query = f"query ($id: ID!, $after: String) {{ node(id: $id) {{ ... on Change {{ {page} }} }} }}"
        async with database.reading() as reader:
            number = await reader.fetchval("SELECT id FROM change WHERE kind = 'LABEL_SAMPLES' ORDER BY id LIMIT 1")
        values = {"id": f"Change:{number}", "after": None}
    else:
        query = f"""query ($id: ID!, $after: String) {{ dataset(by: {{id: $id}}) {{
            changes(first: 2) {{ nodes {{ {page} }} }} }} }}"""
        values = {"id": client.dataset, "after": None}
    for expected in (client.ids(*range(5)), client.ids(*range(5, 10))):
        data = await client.direct.execute(query, values)
        found = data["node"] if by == "node" else data["dataset"]["changes"]["nodes"][1]
        assert [node["id"] for node in found["samples"]["nodes"]] == expected
        values["after"] = found["samples"]["pageInfo"]["endCursor"]
    for text in plans:
        assert not re.search(r"Seq Scan on sample(_past)?\b[^\n]*actual", text), text
        rows = re.findall(r"on sample\w*[^\n]*?actual rows=([\d.]+) loops=(\d+)", text)
        assert rows
        assert max(float(number) * int(loops) for number, loops in rows) < 50, text


# -- following --------------------------------------------------------------------------------------------------------


async def test_a_page_that_follows_changes_knows_what_to_read_again(client: DatasetClient) -> None:
    schema = build_schema()
    follow = f"subscription ($d: ID!) {{ datasetChanges(datasetId: $d) {{ {TOUCHED} }} }}"
    request = Request(schema.documents.prepare(follow), {"d": client.dataset})
    found: list[Any] = []

    async def read(context: Context) -> None:
        async with aclosing(schema.subscribe(request, context)) as answers:
            async for answer in answers:
                found.append(orjson.loads(answer.encode())["data"]["datasetChanges"])
                if len(found) == 3:
                    return

    async with asyncio.timeout(TIMEOUT), events.listening(client.direct.database) as events_:
        reading = asyncio.create_task(read(replace(client.direct, events=events_).context()))
        await wait_until(lambda: bool(events_._topics))  # from here on it misses nothing
        await select(client, "labelSamples", 1, 2, labels=["bird"], createMissing=True)
        await wait_until(lambda: len(found) == 1)
        await select(client, "deleteSamples", 2)
        await wait_until(lambda: len(found) == 2)
        await client.mutate("renameLabel", "change { id }", labelId=client.label("cat"), name="Cat")
        await reading
    labelled, deleted, renamed = found
    assert [(node["id"], node["labels"]) for node in labelled["samples"]["nodes"]] == [
        (id, [{"name": "bird"}]) for id in client.ids(1, 2)
    ]
    assert [label["name"] for label in labelled["labels"]] == ["bird"]
    assert (deleted["deletedSampleIds"], deleted["samples"]["nodes"]) == (client.ids(2), [])
    assert (renamed["kind"], renamed["sampleCount"]) == ("RENAME_LABEL", 0)
    assert renamed["labels"] == [{"id": client.label("cat"), "name": "Cat"}]
