"""Undoing: what comes back, what stays, and what stands in the way."""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from db.errors import NotFound
from db.jobs import events
from db.postgres import sql
from schema import build_schema
from schema.execution.messages import Request
from tests.schema.mutation_fixture import Stage
from tests.waiting import TIMEOUT, wait_until


async def label(stage: Stage, names: list[str], *places: int, mode: str = "ADD", **more: Any) -> str:
    return await do(
        stage,
        "labelSamples",
        datasetId=stage.dataset,
        select={"ids": stage.ids(*places)},
        labels=names,
        mode=mode,
        **more,
    )


async def do(stage: Stage, field: str, **input: Any) -> str:
    """The id of the change."""
    return str((await stage.do(field, "change { id }", **input))["change"]["id"])


async def undo(stage: Stage, change: str) -> str:
    return await do(stage, "undoChange", changeId=change)


async def conflicts(stage: Stage, change: str) -> list[str]:
    refused = await stage.refused("undoChange", changeId=change)
    assert refused["code"] == "CONFLICT"
    return refused["details"]["changes"]  # type: ignore[no-any-return]


async def facts(stage: Stage) -> Any:
    """Everything that undoing restores, ids, times and names of people included."""
    query = """query ($d: ID!) { dataset(by: {id: $d}) { statistics { total labeled unlabeled pending }
        labels { id name color shortcut sampleCount annotationCount }
        samples(first: 100, orderBy: OLDEST) { nodes { id path state labels { id } labeledBy labeledAt hard usage
            sourceAvailable annotations { id label { id } labeledBy labeledAt origin confirmed } } } } }"""
    return await stage.direct.execute(query, {"d": stage.dataset})


async def deed(stage: Stage, name: str) -> str:
    label_id, every = stage.label("cat"), [stage.label("cat"), stage.label("dog")]
    pets: dict[str, Any] = {"datasetId": stage.dataset}
    cats = {"filter": {"labels": {"names": ["cat"]}}}
    field, input = {
        "label": ("labelSamples", {"select": {"ids": stage.ids(2, 3, 4)}, "labels": ["dog", "cat"], **pets}),
        "set": ("labelSamples", {"select": {"ids": stage.ids(0, 1, 2)}, "labels": ["dog"], "mode": "SET", **pets}),
        "clear": ("labelSamples", {"select": {"ids": stage.ids(0, 1, 2)}, "labels": [], "mode": "SET", **pets}),
        "take off": ("labelSamples", {"select": {"ids": stage.ids(0)}, "labels": ["cat"], "mode": "REMOVE", **pets}),
        "a new label": ("labelSamples", {"select": cats, "labels": ["bird"], "createMissing": True, **pets}),
        "replace": ("replaceSampleLabel", {"select": cats, "from": "cat", "to": "dog", **pets}),
        "rename": ("renameLabel", {"labelId": label_id, "name": "Feline"}),
        "merge": ("renameLabel", {"labelId": label_id, "name": "dog", "onConflict": "MERGE"}),
        "delete labels": ("deleteLabels", {"labelIds": [label_id], "mode": "LABEL_ONLY"}),
        "delete labels and samples": ("deleteLabels", {"labelIds": every, "mode": "LABEL_AND_SAMPLES"}),
        "delete samples": ("deleteSamples", {"select": {"ids": stage.ids(0, 2, 5)}, **pets}),
    }[name]
    return await do(stage, field, **input)


DEEDS = [
    *("label", "set", "clear", "take off", "a new label", "replace", "rename", "merge"),
    *("delete labels", "delete labels and samples", "delete samples"),
]


@pytest.mark.parametrize("name", DEEDS)
async def test_undoing_brings_everything_back_and_undoing_that_does_it_again(stage: Stage, name: str) -> None:
    await label(stage, ["cat"], 0, 1, 2)
    await label(stage.as_somebody("bob"), ["dog"], 2, 3)
    before = await facts(stage)
    change = await deed(stage, name)
    after = await facts(stage)
    undone = await undo(stage, change)
    assert await facts(stage) == before
    await undo(stage, undone)
    assert await facts(stage) == after
    await stage.check()


async def test_a_change_tells_what_undid_it(stage: Stage) -> None:
    change = await label(stage, ["cat"], 0)
    await undo(stage.as_somebody("bob"), change)
    query = """query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 2) { nodes {
        kind actor summary undoneBy { kind } } } } }"""
    nodes = (await stage.direct.execute(query, {"d": stage.dataset}))["dataset"]["changes"]["nodes"]
    assert nodes == [
        {"kind": "UNDO", "actor": "bob", "summary": "Undid: Put `cat` on 1 sample", "undoneBy": None},
        {"kind": "LABEL_SAMPLES", "actor": "ann", "summary": "Put `cat` on 1 sample", "undoneBy": {"kind": "UNDO"}},
    ]


async def test_changes_are_undone_one_after_another_to_the_first(stage: Stage) -> None:
    states, changes = [await facts(stage)], []
    for name in ("label", "set", "replace", "rename", "delete samples"):
        if name == "replace":
            changes.append(await label(stage, ["cat"], 3, mode="SET"))
            states.append(await facts(stage))
        changes.append(await deed(stage, name))
        states.append(await facts(stage))
    for change in reversed(changes):
        states.pop()
        await undo(stage, change)
        assert await facts(stage) == states[-1]
    await stage.check()


async def test_what_others_did_on_the_same_sample_stays(stage: Stage) -> None:
    mine = await label(stage, ["cat"], 0)
    await label(stage.as_somebody("bob"), ["dog"], 0)
    await undo(stage, mine)
    assert (await stage.labelled())[0] == ["dog"]
    await stage.check()


async def test_a_label_comes_back_beside_what_others_took_off(stage: Stage) -> None:
    await label(stage, ["cat", "dog"], 0)
    mine = await label(stage, ["cat"], 0, mode="REMOVE")
    await label(stage.as_somebody("bob"), ["dog"], 0, mode="REMOVE")
    await undo(stage, mine)
    assert (await stage.labelled())[0] == ["cat"]
    await stage.check()


async def test_later_changes_of_the_same_annotations_are_named(stage: Stage) -> None:
    first = await label(stage, ["cat"], 0, 1)
    await label(stage, ["dog"], 1)
    third = await label(stage, ["cat"], 1, mode="REMOVE")
    fourth = await do(stage, "deleteSamples", datasetId=stage.dataset, select={"ids": stage.ids(0)})
    assert await conflicts(stage, first) == [third, fourth]


async def test_a_label_put_anew_is_in_the_way_of_the_old_one(stage: Stage) -> None:
    await label(stage, ["cat"], 0)
    taken = await label(stage, ["cat"], 0, mode="REMOVE")
    again = await label(stage, ["cat"], 0)
    assert await conflicts(stage, taken) == [again]


async def test_a_name_that_is_taken_again_is_in_the_way(stage: Stage) -> None:
    renamed = await do(stage, "renameLabel", labelId=stage.label("cat"), name="Feline")
    await stage.do("createLabels", "labels { id }", datasetId=stage.dataset, labels=[{"name": "cat"}])
    [change] = await conflicts(stage, renamed)
    assert int(change.split(":")[1]) > int(renamed.split(":")[1])


async def test_a_new_label_in_use_is_in_the_way_of_undoing_its_making(stage: Stage) -> None:
    made = await label(stage, ["bird"], 0, createMissing=True)
    used = await label(stage, ["bird"], 1)
    assert await conflicts(stage, made) == [used]
    await undo(stage, used)
    await undo(stage, made)
    await stage.check()


async def test_a_change_is_not_undone_twice(stage: Stage) -> None:
    change = await label(stage, ["cat"], 0)
    undone = await undo(stage, change)
    assert await conflicts(stage, change) == [undone]


async def test_samples_come_back_without_their_image_where_that_is_gone(stage: Stage) -> None:
    await label(stage, ["cat"], 0)
    change = await do(stage, "deleteSamples", datasetId=stage.dataset, select={"ids": stage.ids(0)})
    async with stage.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000000.jpg'")
    await undo(stage, change)
    sample = (await facts(stage))["dataset"]["samples"]["nodes"][0]
    assert (sample["id"], sample["sourceAvailable"], sample["labels"]) == (
        stage.ids(0)[0],
        False,
        [{"id": stage.label("cat")}],
    )


async def test_a_sample_comes_back_to_the_place_its_source_moved_to(stage: Stage) -> None:
    change = await do(stage, "deleteSamples", datasetId=stage.dataset, select={"ids": stage.ids(0)})
    async with stage.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET path = 'moved/0.jpg' WHERE path = '000000.jpg'")
    await undo(stage, change)
    assert (await facts(stage))["dataset"]["samples"]["nodes"][0]["path"] == "moved/0.jpg"


async def test_what_deleted_source_files_is_not_undone(stage: Stage) -> None:
    select = {"ids": stage.ids(0)}
    change = await do(stage, "deleteSamples", datasetId=stage.dataset, select=select, deleteSources=True)
    assert (await stage.refused("undoChange", changeId=change))["code"] == "VALIDATION_FAILED"


async def test_a_change_that_is_not_there_is_not_found(stage: Stage) -> None:
    change = await label(stage, ["cat"], 0)
    assert (await stage.refused("undoChange", changeId="Change:99"))["code"] == "NOT_FOUND"
    answer = await stage.confined_to(99).direct.answer(
        "mutation ($c: ID!) { undoChange(input: {changeId: $c}) { change { id } } }", {"c": change}
    )
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


# -- following --------------------------------------------------------------------------------------------------------

FOLLOW = "subscription ($d: ID!, $a: Int) { datasetChanges(datasetId: $d, afterRevision: $a) { revision kind } }"


async def follow(stage: Stage, after: int | None, count: int, *, meanwhile: Any = None) -> list[int]:
    """The revisions of the first changes that a subscriber is sent."""
    schema = build_schema()
    document = schema.documents.prepare(FOLLOW)
    found: list[int] = []
    working: asyncio.Future[None] | None = None
    async with events.listening(stage.direct.database) as told:
        context = stage.direct.context()
        object.__setattr__(context, "events", told)
        request = Request(document, {"d": stage.dataset, "a": after})
        async with asyncio.timeout(TIMEOUT), aclosing(schema.subscribe(request, context)) as answers:
            if meanwhile is not None:
                listening = asyncio.ensure_future(anext(answers))
                await wait_until(lambda: bool(told._topics))  # from here on it misses nothing
                working = asyncio.ensure_future(meanwhile())
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


async def test_a_subscriber_resumes_behind_a_revision_without_a_gap(stage: Stage) -> None:
    for place in range(4):
        await label(stage, ["cat"], place)
    assert await follow(stage, 2, 3) == [3, 4, 5]
    assert await follow(stage, 0, 5) == [1, 2, 3, 4, 5]


async def test_changes_reach_a_subscriber_once_while_many_work(stage: Stage) -> None:
    async def work(names: list[str]) -> None:
        for turn in range(20):
            await stage.do(
                "labelSamples",
                "changed",
                datasetId=stage.dataset,
                select={"ids": stage.ids(turn % 6)},
                labels=[names[turn // 6 % 2]],
                mode="SET",
            )

    async def meanwhile() -> None:
        await asyncio.gather(work(["cat", "dog"]), work(["dog", "cat"]))

    found = await follow(stage, None, 20, meanwhile=meanwhile)
    assert found == list(range(2, 22))


async def test_following_needs_a_dataset_that_is_there(stage: Stage) -> None:
    schema = build_schema()
    request = Request(schema.documents.prepare(FOLLOW), {"d": "Dataset:99"})
    async with aclosing(schema.subscribe(request, stage.direct.context())) as answers:
        with pytest.raises(NotFound, match="no such dataset"):
            await anext(answers)
