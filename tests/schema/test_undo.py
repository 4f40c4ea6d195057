"""Undoing: what comes back, what stays, and what prevents it."""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from db.errors import NotFound
from db.history import restore
from db.jobs import events
from db.postgres import sql
from schema import build_schema
from schema.execution.messages import Request
from tests.schema.mutation_fixture import DatasetClient
from tests.waiting import TIMEOUT, wait_until


async def label(client: DatasetClient, names: list[str], *positions: int, mode: str = "ADD", **more: Any) -> str:
    return await mutate(
        client,
        "labelSamples",
        datasetId=client.dataset,
        select={"ids": client.ids(*positions)},
        labels=names,
        mode=mode,
        **more,
    )


async def mutate(client: DatasetClient, field: str, **input: Any) -> str:
    """The id of the change."""
    return str((await client.mutate(field, "change { id }", **input))["change"]["id"])


async def undo(client: DatasetClient, change: str) -> str:
    return await mutate(client, "undoChange", changeId=change)


async def conflicts(client: DatasetClient, change: str) -> list[str]:
    refused = await client.refused("undoChange", changeId=change)
    assert refused["code"] == "CONFLICT"
    return refused["details"]["changes"]  # type: ignore[no-any-return]


async def facts(client: DatasetClient) -> Any:
    """Everything that undoing restores, ids, times and names of people included."""
    query = """query ($d: ID!) { dataset(by: {id: $d}) {
        statistics { totalCount labeledCount unlabeledCount pendingCount }
        labels { id name color shortcut sampleCount annotationCount }
        samples(first: 100, orderBy: {field: CREATED_AT}) { nodes { id path state labels { id } labeledBy labeledAt
            isHard usage isSourceAvailable
            annotations { id label { id } labeledBy labeledAt origin isConfirmed } } } } }"""
    return await client.direct.execute(query, {"d": client.dataset})


async def operation(client: DatasetClient, name: str) -> str:
    label_id, every = client.label("cat"), [client.label("cat"), client.label("dog")]
    pets: dict[str, Any] = {"datasetId": client.dataset}
    cats = {"filter": {"labels": {"names": ["cat"]}}}
    field, input = {
        "label": ("labelSamples", {"select": {"ids": client.ids(2, 3, 4)}, "labels": ["dog", "cat"], **pets}),
        "set": ("labelSamples", {"select": {"ids": client.ids(0, 1, 2)}, "labels": ["dog"], "mode": "SET", **pets}),
        "clear": ("labelSamples", {"select": {"ids": client.ids(0, 1, 2)}, "labels": [], "mode": "SET", **pets}),
        "take off": ("labelSamples", {"select": {"ids": client.ids(0)}, "labels": ["cat"], "mode": "REMOVE", **pets}),
        "a new label": ("labelSamples", {"select": cats, "labels": ["bird"], "createMissing": True, **pets}),
        "replace": ("replaceSampleLabel", {"select": cats, "from": "cat", "to": "dog", **pets}),
        "rename": ("renameLabel", {"labelId": label_id, "name": "Feline"}),
        "merge": ("renameLabel", {"labelId": label_id, "name": "dog", "onConflict": "MERGE"}),
        "delete labels": ("deleteLabels", {"labelIds": [label_id], "mode": "LABEL_ONLY"}),
        "delete labels and samples": ("deleteLabels", {"labelIds": every, "mode": "LABEL_AND_SAMPLES"}),
        "delete samples": ("deleteSamples", {"select": {"ids": client.ids(0, 2, 5)}, **pets}),
    }[name]
    return await mutate(client, field, **input)


OPERATIONS = [
    *("label", "set", "clear", "take off", "a new label", "replace", "rename", "merge"),
    *("delete labels", "delete labels and samples", "delete samples"),
]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_undoing_brings_everything_back_and_undoing_that_does_it_again(client: DatasetClient, name: str) -> None:
    await label(client, ["cat"], 0, 1, 2)
    await label(client.as_somebody("bob"), ["dog"], 2, 3)
    before = await facts(client)
    change = await operation(client, name)
    after = await facts(client)
    undone = await undo(client, change)
    assert await facts(client) == before
    await undo(client, undone)
    assert await facts(client) == after
    await client.check()


async def test_a_change_tells_what_undid_it(client: DatasetClient) -> None:
    change = await label(client, ["cat"], 0)
    await undo(client.as_somebody("bob"), change)
    query = """query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 2) { nodes {
        kind actor summary undoneBy { kind } } } } }"""
    nodes = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    assert nodes == [
        {"kind": "UNDO", "actor": "bob", "summary": "Undid: Added `cat` to 1 sample", "undoneBy": None},
        {"kind": "LABEL_SAMPLES", "actor": "ann", "summary": "Added `cat` to 1 sample", "undoneBy": {"kind": "UNDO"}},
    ]


async def test_what_is_undone_twice_is_said_to_be_redone(client: DatasetClient) -> None:
    change = await label(client, ["cat"], 0)
    for _ in range(3):
        change = await undo(client, change)
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 3) { nodes { summary } } } }"
    nodes = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    assert [node["summary"] for node in nodes] == [
        f"{verb}: Added `cat` to 1 sample" for verb in ("Undid", "Redid", "Undid")
    ]


async def test_changes_are_undone_one_after_another_to_the_first(client: DatasetClient) -> None:
    states, changes = [await facts(client)], []
    for name in ("label", "set", "replace", "rename", "delete samples"):
        if name == "replace":
            changes.append(await label(client, ["cat"], 3, mode="SET"))
            states.append(await facts(client))
        changes.append(await operation(client, name))
        states.append(await facts(client))
    for change in reversed(changes):
        states.pop()
        await undo(client, change)
        assert await facts(client) == states[-1]
    await client.check()


async def test_what_others_did_on_the_same_sample_stays(client: DatasetClient) -> None:
    mine = await label(client, ["cat"], 0)
    await label(client.as_somebody("bob"), ["dog"], 0)
    await undo(client, mine)
    assert (await client.labelled())[0] == ["dog"]
    await client.check()


async def test_only_samples_that_others_have_changed_since_are_looked_at_again(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1, 2, 3)
    revision = await client.revision()
    await label(client.as_somebody("bob"), ["dog"], 1)
    async with client.direct.database.writing() as session:
        await restore.load(session, client.dataset_rows.id, revision - 1, revision)
        rows = await sql.run(session, restore.CHANGED_SINCE)
    assert [row["id"] for row in rows] == [client.dataset_rows.samples[1]]


async def test_a_label_comes_back_beside_what_others_took_off(client: DatasetClient) -> None:
    await label(client, ["cat", "dog"], 0)
    mine = await label(client, ["cat"], 0, mode="REMOVE")
    await label(client.as_somebody("bob"), ["dog"], 0, mode="REMOVE")
    await undo(client, mine)
    assert (await client.labelled())[0] == ["cat"]
    await client.check()


async def test_later_changes_of_the_same_annotations_are_named(client: DatasetClient) -> None:
    first = await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 1)
    third = await label(client, ["cat"], 1, mode="REMOVE")
    fourth = await mutate(client, "deleteSamples", datasetId=client.dataset, select={"ids": client.ids(0)})
    assert await conflicts(client, first) == [third, fourth]


async def test_a_label_put_anew_is_in_the_way_of_the_old_one(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    taken = await label(client, ["cat"], 0, mode="REMOVE")
    again = await label(client, ["cat"], 0)
    assert await conflicts(client, taken) == [again]


async def test_a_name_that_is_taken_again_is_in_the_way(client: DatasetClient) -> None:
    renamed = await mutate(client, "renameLabel", labelId=client.label("cat"), name="Feline")
    await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "cat"}])
    [change] = await conflicts(client, renamed)
    assert int(change.split(":")[1]) > int(renamed.split(":")[1])


async def test_a_new_label_in_use_is_in_the_way_of_undoing_its_making(client: DatasetClient) -> None:
    made = await label(client, ["bird"], 0, createMissing=True)
    used = await label(client, ["bird"], 1)
    assert await conflicts(client, made) == [used]
    await undo(client, used)
    await undo(client, made)
    await client.check()


async def test_a_change_is_not_undone_twice(client: DatasetClient) -> None:
    change = await label(client, ["cat"], 0)
    undone = await undo(client, change)
    refused = await client.refused("undoChange", changeId=change)
    assert (refused["code"], refused["details"]) == ("CONFLICT", {"changes": [undone]})
    answer = await client.direct.answer(UNDO, {"input": {"changeId": change}})
    assert answer["errors"][0]["message"].startswith("This change is already undone")


async def test_samples_come_back_without_their_image_where_that_is_gone(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    change = await mutate(client, "deleteSamples", datasetId=client.dataset, select={"ids": client.ids(0)})
    async with client.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000000.jpg'")
    await undo(client, change)
    sample = (await facts(client))["dataset"]["samples"]["nodes"][0]
    assert (sample["id"], sample["isSourceAvailable"], sample["labels"]) == (
        client.ids(0)[0],
        False,
        [{"id": client.label("cat")}],
    )


async def test_a_sample_comes_back_to_the_place_its_source_moved_to(client: DatasetClient) -> None:
    change = await mutate(client, "deleteSamples", datasetId=client.dataset, select={"ids": client.ids(0)})
    async with client.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET path = 'moved/0.jpg' WHERE path = '000000.jpg'")
    await undo(client, change)
    assert (await facts(client))["dataset"]["samples"]["nodes"][0]["path"] == "moved/0.jpg"


@pytest.mark.parametrize("field", ["undoChange", "setCurrentVersion"])
async def test_no_sample_comes_back_to_where_the_file_of_another_is(client: DatasetClient, field: str) -> None:
    version = await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    change = await mutate(client, "deleteSamples", datasetId=client.dataset, select={"ids": client.ids(0)})
    async with client.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000001.jpg'")
        await sql.run(session, "UPDATE source SET path = '000001.jpg' WHERE path = '000000.jpg'")
    inputs = {
        "undoChange": {"changeId": change},
        "setCurrentVersion": {"versionId": version["version"]["id"], "onUnpublished": "DISCARD"},
    }
    refused = await client.refused(field, **inputs[field])
    assert (refused["code"], refused["details"]["path"]) == ("CONFLICT", "000001.jpg")


async def test_what_deleted_source_files_is_not_undone(client: DatasetClient) -> None:
    select = {"ids": client.ids(0)}
    change = await mutate(client, "deleteSamples", datasetId=client.dataset, select=select, deleteSources=True)
    assert (await client.refused("undoChange", changeId=change))["code"] == "VALIDATION_FAILED"


async def test_a_change_that_is_not_there_is_not_found(client: DatasetClient) -> None:
    change = await label(client, ["cat"], 0)
    assert (await client.refused("undoChange", changeId="Change:99"))["code"] == "NOT_FOUND"
    answer = await client.confined_to(99).direct.answer(
        "mutation ($c: ID!) { undoChange(input: {changeId: $c}) { change { id } } }", {"c": change}
    )
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


# -- following --------------------------------------------------------------------------------------------------------

UNDO = "mutation ($input: UndoChangeInput!) { undoChange(input: $input) { change { id } } }"
FOLLOW = "subscription ($d: ID!, $a: Int) { datasetChanges(datasetId: $d, afterRevision: $a) { revision kind } }"


async def follow(client: DatasetClient, after: int | None, count: int, *, concurrently: Any = None) -> list[int]:
    """The revisions of the first changes that a subscriber is sent."""
    schema = build_schema()
    document = schema.documents.prepare(FOLLOW)
    found: list[int] = []
    working: asyncio.Future[None] | None = None
    async with events.listening(client.direct.database) as events_:
        context = client.direct.context()
        object.__setattr__(context, "events", events_)
        request = Request(document, {"d": client.dataset, "a": after})
        async with asyncio.timeout(TIMEOUT), aclosing(schema.subscribe(request, context)) as answers:
            if concurrently is not None:
                listening = asyncio.ensure_future(anext(answers))
                await wait_until(lambda: bool(events_._topics))  # from here on it misses nothing
                working = asyncio.ensure_future(concurrently())
                found.append(_revision((await listening).encode()))
            async for answer in answers:
                assert not answer.errors
                found.append(_revision(answer.encode()))
                if len(found) == count:
                    break
        if working is not None:
            await working
    return found


def _revision(text: bytes) -> int:
    revision: int = orjson.loads(text)["data"]["datasetChanges"]["revision"]
    return revision


async def test_a_subscriber_resumes_behind_a_revision_without_a_gap(client: DatasetClient) -> None:
    for position in range(4):
        await label(client, ["cat"], position)
    assert await follow(client, 2, 3) == [3, 4, 5]
    assert await follow(client, 0, 5) == [1, 2, 3, 4, 5]


async def test_changes_reach_a_subscriber_once_while_many_work(client: DatasetClient) -> None:
    async def work(names: list[str]) -> None:
        for turn in range(20):
            await client.mutate(
                "labelSamples",
                "changedCount",
                datasetId=client.dataset,
                select={"ids": client.ids(turn % 6)},
                labels=[names[turn // 6 % 2]],
                mode="SET",
            )

    async def concurrently() -> None:
        await asyncio.gather(work(["cat", "dog"]), work(["dog", "cat"]))

    found = await follow(client, None, 20, concurrently=concurrently)
    assert found == list(range(2, 22))


async def test_following_needs_a_dataset_that_is_there(client: DatasetClient) -> None:
    schema = build_schema()
    request = Request(schema.documents.prepare(FOLLOW), {"d": "Dataset:99"})
    async with aclosing(schema.subscribe(request, client.direct.context())) as answers:
        with pytest.raises(NotFound, match="no such dataset"):
            await anext(answers)
