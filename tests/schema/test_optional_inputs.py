"""What has a default may be left out, or null: clients send null for what nobody filled in."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import build_schema, is_input_object_type, is_non_null_type, is_object_type

from schema import sdl
from tests.schema.mutation_fixture import DatasetClient


def inputs() -> Iterator[tuple[str, Any]]:
    for type_ in build_schema(sdl()).type_map.values():
        if is_object_type(type_):
            for field in type_.fields.values():
                yield from ((f"{type_.name}.{name}", each) for name, each in field.args.items())
        elif is_input_object_type(type_):
            yield from ((f"{type_.name}.{name}", each) for name, each in type_.fields.items())


def test_what_has_a_default_is_nullable() -> None:
    with_default = {name: each for name, each in inputs() if each.ast_node and each.ast_node.default_value}
    assert len(with_default) > 50
    assert [name for name, each in with_default.items() if is_non_null_type(each.type)] == []


async def test_null_means_the_default_in_a_mutation(client: DatasetClient) -> None:
    plain: dict[str, Any] = {"datasetId": client.dataset, "select": {"ids": client.ids(0)}, "labels": ["cat"]}
    await client.mutate("labelSamples", "dataset { id }", **plain, mode=None, createMissing=None)
    assert (await client.labelled())[0] == ["cat"]
    refused = await client.refused("labelSamples", **{**plain, "labels": ["bird"]}, mode=None, createMissing=None)
    assert refused["code"] == "LABEL_NOT_FOUND"
    written = f"""mutation {{ labelSamples(input: {{datasetId: "{client.dataset}", labels: ["dog"], mode: null,
        select: {{ids: ["{client.ids(0)[0]}"]}}}}) {{ samples {{ labels {{ name }} }} }} }}"""
    payload = (await client.direct.execute(written))["labelSamples"]
    assert [label["name"] for label in payload["samples"][0]["labels"]] == ["cat", "dog"]


async def test_null_means_the_default_in_a_query(client: DatasetClient) -> None:
    """As a literal, as a variable, and as a variable that may be null."""
    await client.mutate(
        "labelSamples", "dataset { id }", datasetId=client.dataset, select={"ids": client.ids(2)}, labels=["cat"]
    )
    query = """query ($d: ID!, $size: Int, $f: SampleFilter) { dataset(by: {id: $d}) {
        samples(orderBy: null, first: null, filter: $f) { nodes { id one: thumbnailUrl(size: $size)
            two: thumbnailUrl(size: null) three: thumbnailUrl } } } }"""
    filter_ = {"labels": {"names": ["cat"], "match": None}, "path": {"directory": "", "recursive": None}}
    answer = await client.direct.execute(query, {"d": client.dataset, "size": None, "f": filter_})
    [found] = answer["dataset"]["samples"]["nodes"]
    assert found["id"] == client.ids(2)[0]
    assert found["one"] == found["two"] == found["three"]


@pytest.mark.parametrize("filter_", [{"labels": {"names": ["cat"], "match": None}}, {"path": {"recursive": None}}])
async def test_in_a_filter_that_writes_null_stays_refused(client: DatasetClient, filter_: dict[str, Any]) -> None:
    refused = await client.refused("deleteSamples", datasetId=client.dataset, select={"filter": filter_})
    assert refused["code"] == "VALIDATION_FAILED"
