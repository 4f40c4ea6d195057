"""A field that is refused is null, with everything up to the nearest field that may be; the rest is answered."""

from typing import Any

import pytest

from db import queries
from db.queries import Plan, compile_query
from schema.execution import partial_answers
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import publish


async def answered(client: DatasetClient, query: str, **variables: Any) -> tuple[Any, list[tuple[list[Any], str]]]:
    """The data; and of each error its path and code."""
    answer = await client.direct.answer(query, {"d": client.dataset, **variables})
    errors = answer.get("errors", ())
    return answer["data"], [(error["path"], error["extensions"]["code"]) for error in errors]


async def test_other_root_fields_keep_their_answers(client: DatasetClient) -> None:
    query = """query ($d: ID!) {
        good: dataset(by: {id: $d}) { id } bad: dataset(by: {id: $d}) { id samples(first: 1000) { totalCount } }
        viewer { name } }"""
    data, errors = await answered(client, query)
    assert data == {"good": {"id": client.dataset}, "bad": None, "viewer": {"name": "ann"}}
    assert errors == [(["bad", "samples"], "VALIDATION_FAILED")]


async def test_the_nearest_nullable_field_is_null_and_its_siblings_stay(client: DatasetClient) -> None:
    await publish(client)
    query = """query ($d: ID!, $after: String) { dataset(by: {id: $d}) { id
        version(name: "V001") { samples(after: $after) { nodes { id } } } currentVersion { name } } }"""
    data, errors = await answered(client, query, after="nonsense")
    assert data == {"dataset": {"id": client.dataset, "version": None, "currentVersion": {"name": "V001"}}}
    assert errors == [(["dataset", "version", "samples"], "INVALID_CURSOR")]
    data, errors = await answered(client, query, after=None)  # the same document, with another value
    assert (len(data["dataset"]["version"]["samples"]["nodes"]), errors) == (6, [])


async def test_every_refused_field_has_its_error(client: DatasetClient) -> None:
    query = """query ($d: ID!) { a: dataset(by: {id: $d}) { samples(first: -1) { totalCount } }
        b: dataset(by: {id: $d}) { changes(first: 1, last: 1) { totalCount } } c: dataset(by: {id: $d}) { id } }"""
    data, errors = await answered(client, query)
    assert data == {"a": None, "b": None, "c": {"id": client.dataset}}
    assert errors == [(["a", "samples"], "VALIDATION_FAILED"), (["b", "changes"], "VALIDATION_FAILED")]


async def test_nothing_is_answered_where_no_field_may_be_null(client: DatasetClient) -> None:
    for query, path in (
        ("query ($d: ID!) { datasets(first: 1000) { totalCount } dataset(by: {id: $d}) { id } }", ["datasets"]),
        (
            "query ($d: ID!) { datasets { nodes { samples(first: 1000) { totalCount } } } node(id: $d) { id } }",
            ["datasets", "nodes", 0, "samples"],
        ),
    ):
        assert await answered(client, query) == (None, [(path, "VALIDATION_FAILED")])


async def test_below_a_list_the_field_that_has_the_list_is_null(client: DatasetClient) -> None:
    query = """query ($d: ID!) { viewer { name } dataset(by: {id: $d}) {
        changes { nodes { samples(first: 1000) { nodes { id } } } } } }"""
    data, errors = await answered(client, query)
    assert data == {"viewer": {"name": "ann"}, "dataset": None}
    assert errors == [(["dataset", "changes", "nodes", 0, "samples"], "VALIDATION_FAILED")]


async def test_items_that_may_be_null_are_null_each_with_its_error(client: DatasetClient) -> None:
    sample, version = client.ids(0)[0], (await publish(client))["id"]
    query = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Dataset { samples(first: 1000) { totalCount } }
        ... on Change { samples(first: 1) { totalCount } } ... on Sample { path } ... on Version { name } } }"""
    ids = [sample, client.dataset, "Dataset:99", version, client.dataset]
    data, errors = await answered(client, query, ids=ids)
    assert data == {"nodes": [{"path": "000000.jpg"}, None, None, {"name": "V001"}, None]}
    assert errors == [(["nodes", index, "samples"], "VALIDATION_FAILED") for index in (1, 4)]
    data, errors = await answered(client, query, ids=[sample, "Dataset:99", "Change:99"])  # nothing has the field
    assert (data, errors) == ({"nodes": [{"path": "000000.jpg"}, None, None]}, [])


async def test_the_same_alias_in_another_type_is_not_refused(client: DatasetClient) -> None:
    input_: dict[str, Any] = {"datasetId": client.dataset, "select": {"ids": client.ids(0)}, "isHard": True}
    change = (await client.mutate("updateSamples", "change { id }", **input_))["change"]["id"]
    query = """query ($d: ID!, $change: ID!) { nodes(ids: [$d, $change]) {
        ... on Dataset { samples(first: 1000) { totalCount } } ... on Change { samples(first: 1) { totalCount } } } }"""
    data, errors = await answered(client, query, change=change)
    assert data == {"nodes": [None, {"samples": {"totalCount": 1}}]}
    assert errors == [(["nodes", 0, "samples"], "VALIDATION_FAILED")]


async def test_a_nullable_field_below_a_list_is_null_in_each_item(client: DatasetClient) -> None:
    await publish(client)
    query = """query ($d: ID!) { a: nodes(ids: [$d, "Dataset:99", $d]) { ... on Dataset { id
        version(name: "V001") { samples(first: 1000) { totalCount } } } } }"""
    data, errors = await answered(client, query)
    is_null = {"id": client.dataset, "version": None}
    assert data == {"a": [is_null, None, is_null]}
    assert errors == [(["a", index, "version", "samples"], "VALIDATION_FAILED") for index in (0, 2)]


async def test_what_is_below_nothing_is_not_refused(client: DatasetClient) -> None:
    refused = "samples(first: 1000) { totalCount }"
    query = f"""query ($d: ID!) {{ missing: dataset(by: {{id: "Dataset:99"}}) {{ {refused} }}
        dataset(by: {{id: $d}}) {{ changes(filter: {{actors: ["nobody"]}}) {{ nodes {{ {refused} }} }} }} }}"""
    assert await answered(client, query) == ({"missing": None, "dataset": {"changes": {"nodes": []}}}, [])


@pytest.mark.parametrize(("items", "is_answered"), [(9, True), (10, False), (100, False)])
async def test_errors_of_one_list_are_limited(client: DatasetClient, items: int, is_answered: bool) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Sample { thumbnailUrl(size: 3) } } }"
    data, errors = await answered(client, query, ids=client.ids(0) * items)
    assert data == ({"nodes": [None] * items} if is_answered else None)
    assert [path for path, _ in errors] == [["nodes", index, "thumbnailUrl"] for index in range(min(items, 10))]


async def test_an_answer_that_is_too_long_to_be_parsed_is_refused(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial_answers, "MAX_LENGTH", 10)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Sample { thumbnailUrl(size: 3) } } }"
    assert await answered(client, query, ids=client.ids(0)) == (
        None,
        [(["nodes", "thumbnailUrl"], "VALIDATION_FAILED")],
    )
    missing = {"nodes": [None, None]}
    assert await answered(client, query, ids=["Sample:999999", "Label:999999"]) == (missing, [])


async def test_the_path_leads_to_the_field_whose_argument_is_refused(client: DatasetClient) -> None:
    query = """query ($d: ID!) { dataset(by: {id: $d}) {
        samples(filter: {width: {min: 2, max: 1}}) { totalCount nodes { id } } } }"""
    assert await answered(client, query) == ({"dataset": None}, [(["dataset", "samples"], "VALIDATION_FAILED")])
    below_item = """query ($d: ID!) { nodes(ids: [$d]) {
        ... on Dataset { samples(first: 1) { nodes { thumbnailUrl(size: 3) } } } } }"""
    assert await answered(client, below_item) == (
        {"nodes": [None]},
        [(["nodes", 0, "samples", "nodes", 0, "thumbnailUrl"], "VALIDATION_FAILED")],
    )


COMPARE = "dataset(by: {id: $d}) { comparison(baseId: %s) { addedCount } }"


@pytest.mark.parametrize("bad", ['"Version:99"', '"nonsense"'])
async def test_an_unknown_version_is_found_among_others(client: DatasetClient, bad: str) -> None:
    version = f'"{(await publish(client))["id"]}"'
    alone = f"query ($d: ID!) {{ viewer {{ name }} {COMPARE % bad} }}"
    data, errors = await answered(client, alone)
    assert data == {"viewer": {"name": "ann"}, "dataset": None}
    assert errors == [(["dataset", "comparison"], "VERSION_NOT_FOUND")]
    several = f"query ($d: ID!) {{ a: {COMPARE % version} b: {COMPARE % bad} c: {COMPARE % bad} viewer {{ name }} }}"
    data, errors = await answered(client, several)
    assert data == {"a": {"comparison": {"addedCount": 0}}, "b": None, "c": None, "viewer": {"name": "ann"}}
    assert errors == [([alias, "comparison"], "VERSION_NOT_FOUND") for alias in "bc"]
    within = COMPARE % f"{version}) {{ addedCount }} other: comparison(baseId: {bad}"
    data, errors = await answered(client, f"query ($d: ID!) {{ {within} viewer {{ name }} }}")
    assert (data["dataset"], errors) == (None, [(["dataset"], "VERSION_NOT_FOUND")])


async def test_refusals_of_one_query_are_limited(client: DatasetClient) -> None:
    parts = [f"a{n}: dataset(by: {{id: $d}}) {{ samples(first: 1000) {{ totalCount }} }}" for n in range(20)]
    data, errors = await answered(client, f"query ($d: ID!) {{ {' '.join(parts)} }}")
    assert (data, len(errors)) == (None, 10)


@pytest.mark.parametrize("values", [{"first": 1000, "size": 64}, {"first": 1, "size": 7}, {"first": 1000, "size": 7}])
async def test_all_that_is_refused_is_found_at_once(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch, values: dict[str, int]
) -> None:
    compiled = 0

    def count(*arguments: Any, **more: Any) -> Plan:
        nonlocal compiled
        compiled += 1
        return compile_query(*arguments, **more)

    monkeypatch.setattr(queries, "compile_query", count)
    parts = [
        f"""a{n}: dataset(by: {{id: $d}}) {{ samples(first: $first) {{ nodes {{ id }} }} }}
        b{n}: dataset(by: {{id: $d}}) {{ sample(path: "000000.jpg") {{ id thumbnailUrl(size: $size) }} }}"""
        for n in range(4)
    ]
    query = f"query ($d: ID!, $first: Int!, $size: Int!) {{ {' '.join(parts)} }}"
    data, errors = await answered(client, query, **values)
    is_wrong = {"a": values["first"] == 1000, "b": values["size"] == 7}
    expected = [["a", "samples"]] * is_wrong["a"] + [["b", "sample", "thumbnailUrl"]] * is_wrong["b"]
    assert sorted([path[0][0], *path[1:]] for path, _ in errors) == sorted(expected * 4)
    assert {name for name in data if data[name] is None} == {f"a{n}" for n in range(4) if is_wrong["a"]}
    assert {name for name in data if data[name] == {"sample": None}} == {f"b{n}" for n in range(4) if is_wrong["b"]}
    assert compiled == 1 + sum(is_wrong.values())
