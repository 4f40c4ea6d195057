"""Lists of samples by what models suggest: their orders and filters, in the working set and in versions."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.db.suggestion_rows import BOX, Suggested, suggest
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import label, publish

NEXT = ("net", "2")
LIST = """samples(filter: $f, orderBy: $o, first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { path } }"""
DECLARED = "$f: SampleFilter, $o: SampleOrderInput, $first: Int, $after: String, $last: Int, $before: String"
WORKING_SET = f"query ($id: ID!, {DECLARED}) {{ node(id: $id) {{ ... on Dataset {{ {LIST} }} }} }}"
VERSION = f"query ($id: ID!, {DECLARED}) {{ node(id: $id) {{ ... on Version {{ {LIST} }} }} }}"


async def make_suggestions(client: DatasetClient) -> None:
    """Of six samples, by position: 0 by both models, who disagree; 1 by one model, twice; 2 a shape; 3 without a
    confidence; 4 labelled `cat`, and disputed; 5 nothing."""
    rows = client.dataset_rows
    cat, dog = rows.labels["cat"], rows.labels["dog"]
    suggestions: dict[int, list[Suggested]] = {
        0: [Suggested(cat, 0.7), Suggested(dog, 0.7, NEXT)],
        1: [Suggested(cat, 0.5), Suggested(dog, 0.3)],
        2: [Suggested(cat, 0.95, NEXT, BOX)],
        3: [Suggested(dog, None, None)],
        4: [Suggested(dog, 0.9)],
    }
    await label(client, ["cat"], 4)
    some = {rows.samples[position]: each for position, each in suggestions.items()}
    await suggest(client.direct.database, rows.id, some)


async def read(client: DatasetClient, id: str, **variables: Any) -> Any:
    query = VERSION if id.startswith("Version") else WORKING_SET
    return (await client.direct.execute(query, {"id": id, **variables}))["node"]["samples"]


def positions(samples: Any) -> list[int]:
    return [int(node["path"].removesuffix(".jpg")) for node in samples["nodes"]]


@pytest.fixture
async def places(client: DatasetClient) -> list[str]:
    """The working set, and a version that equals it, of which half is past by then."""
    await make_suggestions(client)
    version = await publish(client)
    await label(client, ["dog"], 0, 3, 4, mode="SET")
    working = await client.mutate(
        "setCurrentVersion", "dataset { id }", versionId=version["id"], onUnpublished="DISCARD"
    )
    return [working["dataset"]["id"], version["id"]]


ORDERS: Mapping[str, Mapping[str, list[int]]] = {
    "SUGGESTION_CONFIDENCE": {"ASC": [3, 1, 0, 4, 2, 5], "DESC": [2, 4, 0, 1, 3, 5]},
    "SUGGESTION_MARGIN": {"ASC": [3, 1, 0, 4, 2, 5], "DESC": [2, 4, 0, 1, 3, 5]},
    "SUGGESTION_ENTROPY": {"ASC": [3, 2, 4, 0, 1, 5], "DESC": [1, 0, 4, 2, 3, 5]},
    "SUGGESTION_DISAGREEMENT": {"ASC": [0, 1, 2, 3, 4, 5], "DESC": [0, 5, 4, 3, 2, 1]},
}


async def test_samples_without_suggestions_come_last_in_either_direction(
    client: DatasetClient, places: list[str]
) -> None:
    for place in places:
        for field, directions in ORDERS.items():
            for direction, expected in directions.items():
                order = {"field": field, "direction": direction}
                whole = await read(client, place, o=order)
                assert positions(whole) == expected, order
                assert whole["totalCount"] == 6
                await follow(client, place, order, expected)


async def follow(client: DatasetClient, place: str, order: Mapping[str, str], expected: list[int]) -> None:
    """By cursors, to the end and back."""
    found: list[int] = []
    cursor = first = None
    while len(found) < len(expected):
        samples = await read(client, place, o=order, first=2, after=cursor)
        info = samples["pageInfo"]
        found += positions(samples)
        assert info["hasNextPage"] == (len(found) < len(expected)), (order, found)
        assert info["hasPreviousPage"] == (len(found) > 2), (order, found)
        cursor, first = info["endCursor"], info["startCursor"]
    assert found == expected
    before = await read(client, place, o=order, last=3, before=first)
    assert positions(before) == expected[1:4]
    assert (before["pageInfo"]["hasNextPage"], before["pageInfo"]["hasPreviousPage"]) == (True, True)


FILTERS: list[tuple[Mapping[str, Any], set[int]]] = [
    ({}, {0, 1, 2, 3, 4}),
    ({"labels": ["cat"]}, {0, 1, 2}),
    ({"labels": ["none"]}, set()),
    ({"models": [{"name": "net", "modelVersion": "2"}]}, {0, 2}),
    ({"models": [{"name": "net", "modelVersion": "2"}], "labels": ["cat"]}, {2}),
    ({"models": [{"name": "net", "modelVersion": "3"}, {"name": "\x00", "modelVersion": ""}]}, set()),
    ({"confidence": {"min": 0.7}}, {0, 2, 4}),
    ({"confidence": {"max": 0.3}}, {1, 3}),
    ({"confidence": {"min": 0.4, "max": 0.6}}, {1}),
    ({"confidence": {}}, {0, 1, 2, 3, 4}),
    ({"labels": ["cat"], "confidence": {"max": 0.6}}, {1}),  # one suggestion meets both: of 0 none does
    ({"labels": ["dog"], "models": [{"name": "net", "modelVersion": "1"}], "confidence": {"min": 0.8}}, {4}),
    ({"disagreesWithLabels": True}, {4}),
    ({"disagreesWithLabels": True, "confidence": {"min": 0.95}}, set()),
    ({"disagreesWithLabels": True, "models": [{"name": "net", "modelVersion": "2"}]}, set()),
    ({"disagreesWithLabels": False}, {0, 1, 2, 3}),
]


async def test_one_suggestion_meets_all_conditions(client: DatasetClient, places: list[str]) -> None:
    for place in places:
        for filter_, expected in FILTERS:
            by = {"suggestions": dict(filter_)}
            found = await read(client, place, f=by)
            assert set(positions(found)) == expected, filter_
            assert found["totalCount"] == len(expected)
            others = await read(client, place, f={"not": by})
            assert set(positions(others)) == set(range(6)) - expected
            either = await read(client, place, f={"or": [by, {"suggestions": {"labels": ["cat"]}}]})
            assert set(positions(either)) == expected | {0, 1, 2}
    by_id = {"suggestions": {"labelIds": [client.label("cat")], "labels": ["dog"], "confidence": {"max": 0.3}}}
    for place in places:
        assert set(positions(await read(client, place, f=by_id))) == {1, 3}


async def test_lists_of_one_suggested_label_have_each_sample_once_and_are_followed_either_way(
    client: DatasetClient, places: list[str]
) -> None:
    """Also where two models suggest the label, or one model two shapes of it."""
    rows, [working, version] = client.dataset_rows, places
    cat, other = rows.labels["cat"], BOX.replace("4}", "5}")
    again = {rows.samples[1]: [Suggested(cat, 0.6, NEXT)], rows.samples[2]: [Suggested(cat, 0.9, NEXT, other)]}
    await suggest(client.direct.database, rows.id, again)
    for criteria, expected in (
        ({"labels": ["cat"]}, [0, 1, 2]),
        ({"labelIds": [client.label("cat")], "confidence": {"min": 0.6}}, [0, 1, 2]),
        ({"labels": ["cat"], "models": [{"name": "net", "modelVersion": "2"}]}, [1, 2]),
        ({"labels": ["cat"], "models": [{"name": "net", "modelVersion": "2"}], "confidence": {"max": 0.6}}, [1]),
    ):
        for state in ({}, {"state": "PENDING"}):
            by = {"suggestions": criteria, **state}
            for direction in ("ASC", "DESC"):
                order = {"field": "CREATED_AT", "direction": direction}
                in_order = expected if direction == "ASC" else expected[::-1]
                whole = await read(client, working, f=by, o=order)
                assert (positions(whole), whole["totalCount"]) == (in_order, len(expected)), (by, direction)
                there = list[int]()
                cursor = None
                for number in range(len(expected)):
                    page = await read(client, working, f=by, o=order, first=1, after=cursor)
                    there += positions(page)
                    assert page["pageInfo"]["hasNextPage"] == (number + 1 < len(expected))
                    assert page["pageInfo"]["hasPreviousPage"] == (number > 0)
                    cursor = page["pageInfo"]["endCursor"]
                page = await read(client, working, f=by, o=order, last=100, before=cursor)
                assert (there, positions(page)) == (in_order, in_order[:-1]), (by, direction)
    assert positions(await read(client, version, f={"suggestions": {"labels": ["cat"]}})) == [2, 1, 0]


async def test_mutations_select_by_suggestions(client: DatasetClient) -> None:
    await make_suggestions(client)
    select = {"filter": {"suggestions": {"labels": ["cat"], "confidence": {"min": 0.6}}}}
    payload = await client.mutate(
        "labelSamples", "matchedCount", datasetId=client.dataset, select=select, labels=["cat"]
    )
    assert payload == {"matchedCount": 2}
    assert {position for position, names in (await client.labelled()).items() if names} == {0, 2, 4}
    any_ = await client.mutate("updateSamples", "changedCount", datasetId=client.dataset, isHard=True,
                               select={"filter": {"suggestions": {}}})  # fmt: skip
    assert any_ == {"changedCount": 4}
    await client.check()


async def test_refuses_bounds_that_exclude_each_other_and_ids_of_versions(client: DatasetClient) -> None:
    for filter_ in ({"confidence": {"min": 0.9, "max": 0.1}}, {"labelIds": ["Label:1@2"]}):
        answer = await client.direct.answer(WORKING_SET, {"id": client.dataset, "f": {"suggestions": filter_}})
        assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"


async def test_undoing_brings_back_how_sure_models_were(client: DatasetClient) -> None:
    await make_suggestions(client)
    before = await read(client, client.dataset, o={"field": "SUGGESTION_ENTROPY"})
    done = [await label(client, ["dog"], 0, mode="SET"), await label(client, ["cat"], 1, 2)]
    deleted = await client.mutate(
        "deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": client.ids(3)}
    )
    await client.check()
    for change in (deleted["change"]["id"], *done):  # not in their order
        await client.mutate("undoChange", "change { id }", changeId=change)
        await client.check()
    assert await read(client, client.dataset, o={"field": "SUGGESTION_ENTROPY"}) == before


async def test_undoing_a_labelling_keeps_what_was_suggested_since(client: DatasetClient) -> None:
    done = await label(client, ["cat"], 0)
    [sample], labels = client.dataset_rows.samples[:1], client.dataset_rows.labels
    await suggest(client.direct.database, client.dataset_rows.id, {sample: [Suggested(labels["dog"], 0.4)]})
    by = {"suggestions": {"disagreesWithLabels": True}}
    assert positions(await read(client, client.dataset, f=by)) == [0]
    await client.mutate("undoChange", "change { id }", changeId=done)
    assert positions(await read(client, client.dataset, f=by)) == []
    assert positions(await read(client, client.dataset, f={"state": "PENDING", "suggestions": {}})) == [0]
    await client.check()
