"""updateSamples: hard examples, and what samples are for."""

from typing import Any

import pytest

from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import publish

COUNTS = "matchedCount changedCount unchangedCount change { kind summary } samples { id isHard usage }"
MARKS = "query ($d: ID!) { dataset(by: {id: $d}) { samples(orderBy: {field: CREATED_AT}) { nodes { isHard usage } } } }"


async def marks(client: DatasetClient) -> list[tuple[bool, str | None]]:
    nodes = (await client.direct.execute(MARKS, {"d": client.dataset}))["dataset"]["samples"]["nodes"]
    return [(node["isHard"], node["usage"]) for node in nodes]


async def update(client: DatasetClient, selection: str = COUNTS, **input: Any) -> Any:
    return await client.mutate("updateSamples", selection, datasetId=client.dataset, **input)


async def test_marks_are_set_on_ids_and_what_is_so_already_is_no_change(client: DatasetClient) -> None:
    first, second = client.ids(0, 1)
    done = await update(client, select={"ids": [first, second]}, isHard=True, usage="TEST")
    assert done["change"] == {"kind": "UPDATE_SAMPLES", "summary": "Marked 2 samples as hard, for TEST"}
    assert done["samples"] == [{"id": id, "isHard": True, "usage": "TEST"} for id in (first, second)]
    done = await update(client, select={"ids": client.ids(0, 1, 2)}, isHard=True)
    assert (done["matchedCount"], done["changedCount"], done["unchangedCount"]) == (3, 1, 2)
    again = await update(client, select={"ids": [first]}, isHard=True, usage="TEST")
    assert (again["changedCount"], again["change"]) == (0, None)
    assert (await marks(client))[:4] == [(True, "TEST"), (True, "TEST"), (True, None), (False, None)]
    await client.check()


async def test_what_is_left_out_stays_and_null_takes_the_usage_away(client: DatasetClient) -> None:
    await update(client, select={"all": True}, isHard=True, usage="EVAL", expectedCount=6)
    await update(client, select={"filter": {"usage": "EVAL"}}, isHard=False)
    assert set(await marks(client)) == {(False, "EVAL")}
    await update(client, select={"filter": {"usage": "EVAL"}}, isHard=None, usage=None)
    assert set(await marks(client)) == {(False, None)}


async def test_marks_come_back_by_undo_and_versions_keep_theirs(client: DatasetClient) -> None:
    await update(client, select={"ids": client.ids(0)}, isHard=True)
    version = await publish(client)
    done = await update(client, "change { id }", select={"ids": client.ids(0, 1)}, isHard=False, usage="TRAIN")
    query = """query ($v: ID!) { node(id: $v) { ... on Version {
        samples(orderBy: {field: CREATED_AT}, first: 2) { nodes { isHard } } } } }"""
    found = (await client.direct.execute(query, {"v": version["id"]}))["node"]["samples"]["nodes"]
    assert found == [{"isHard": True}, {"isHard": False}]
    await client.mutate("undoChange", "change { id }", changeId=done["change"]["id"])
    assert (await marks(client))[:2] == [(True, None), (False, None)]


@pytest.mark.parametrize(
    ("input_", "code"),
    [
        ({}, "VALIDATION_FAILED"),
        ({"isHard": None}, "VALIDATION_FAILED"),
        ({"usage": "FUN"}, "BAD_USER_INPUT"),
        ({"isHard": True, "expectedCount": 7}, "COUNT_MISMATCH"),
        ({"isHard": True, "expectedRevision": 0}, "CONFLICT"),
        ({"isHard": True, "select": {"ids": []}}, "EMPTY_SELECTION"),
    ],
)
async def test_wrong_input_changes_nothing(client: DatasetClient, input_: dict[str, Any], code: str) -> None:
    given = {"datasetId": client.dataset, "select": {"all": True}, **input_}
    assert (await client.refused("updateSamples", **given))["code"] == code
    assert set(await marks(client)) == {(False, None)}
