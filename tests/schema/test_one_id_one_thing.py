"""Objects of one id in one answer are equal, whatever leads to them: what a normalized cache relies on."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from random import Random
from typing import Any

import pytest
from graphql import GraphQLField, get_named_type, is_leaf_type
from graphql import build_schema as language_of

from schema import build_schema
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.random_operations import KnownValues, Writer
from tests.schema.read_fixture import ROOMY
from tests.schema.version_fixture import label, publish

SEEDS = 100


class PlainWriter(Writer):
    """Writes each field under one name wherever it stands, so that the fields of two objects can be compared."""

    apart = frozenset({"deleteImpact", "similar"})  # without embeddings, `similar` refuses the whole operation
    depth = 7

    def field(self, parent: str, named: tuple[str, GraphQLField], depth: int) -> str:
        name, declared = named
        kind, arguments = get_named_type(declared.type), self.arguments(parent, name, declared)
        key = blake2b(f"{declared.type} {arguments}".encode(), digest_size=4).hexdigest()
        below = "" if is_leaf_type(kind) else self.selection(kind, depth - 1)
        return f"{name}_{key}: {name}{arguments} {below}"

    def selection(self, kind: Any, depth: int) -> str:
        has_id = "id" in getattr(kind, "fields", {})
        return super().selection(kind, depth).replace("{", "{ id ", 1) if has_id else super().selection(kind, depth)

    def values(self, parent: str, name: str, declared: GraphQLField) -> dict[str, Any]:
        versions = [id for id in self.known.ids if id.startswith("Version:")]
        match parent, name:
            case "Dataset", "comparison":
                return {"baseId": self.pick(versions), "headId": self.pick([*versions, None])}
            case "Dataset", "version":
                return {"name": self.pick(("V001", "V002"))}
        if "first" in declared.args:
            return {"first": self.pick((1, 2, 6))}
        return super().values(parent, name, declared)


def objects(value: Any) -> Iterator[Mapping[str, Any]]:
    match value:
        case dict():
            if "id" in value:
                yield value
            for each in value.values():
                yield from objects(each)
        case list():
            for each in value:
                yield from objects(each)


def assert_agree(first: Any, second: Any, where: str) -> None:
    """Equal in what both say."""
    match first, second:
        case dict(), dict():
            for name in first.keys() & second.keys():
                assert_agree(first[name], second[name], f"{where}.{name}")
        case list(), list():
            assert len(first) == len(second), where
            for position, pair in enumerate(zip(first, second, strict=True)):
                assert_agree(*pair, f"{where}.{position}")
        case _:
            assert first == second, where


@pytest.mark.slow
async def test_objects_of_one_id_in_one_answer_are_equal(client: DatasetClient) -> None:
    """Versions with other labels, names and samples than the working set, and each other."""
    await label(client, ["cat"], 0, 1, 2)
    versions = [await publish(client)]
    await label(client, ["dog"], 1, 2, 3, mode="SET")
    await client.mutate("renameLabel", "label { id }", labelId=client.label("cat"), name="Feline")
    await client.mutate("deleteSamples", "dataset { id }", datasetId=client.dataset, select={"ids": client.ids(2, 4)})
    versions.append(await publish(client))
    await label(client, ["Feline"], 3, 5, mode="SET")
    direct = replace(client.direct, schema=build_schema(ROOMY))
    language = language_of(direct.schema.as_str())
    ids = [client.dataset, *client.ids(0, 1, 2), client.label("cat"), *(version["id"] for version in versions)]
    known = KnownValues(ids, ("pets",), ("000000.jpg", "000003.jpg"), {})
    compared = 0
    for seed in range(SEEDS):
        source, variables = PlainWriter(Random(seed), language, known).operation()
        seen: dict[str, Mapping[str, Any]] = {}
        answer = await direct.answer(source, variables)
        if "errors" in answer:
            assert answer["errors"][0]["extensions"]["code"] == "QUERY_TOO_COSTLY", answer["errors"]
            continue
        for each in objects(answer["data"]):
            if each["id"] in seen:
                assert_agree(seen[each["id"]], each, f"{seed}: {json.dumps(each['id'])}")
                compared += len(seen[each["id"]].keys() & each.keys()) - 1
            seen[each["id"]] = {**seen.get(each["id"], {}), **each}
    assert compared > SEEDS, compared
