"""Many input objects are coerced by validators, to what graphql-core coerces them to, with its errors."""

import random
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    parse,
)
from graphql.execution.values import VariableValues

from db.ingest.uploads import Incoming
from schema.execution import translation
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Document
from schema.execution.variables import VariableCoercion
from tests.schema.mutation_fixture import schema

LEAVES: dict[str, list[Any]] = {
    "Boolean": [True, False],
    "DateTime": ["2026-11-30T00:00:00Z"],
    "Float": [0.5, -3, 2**60, 0],
    "ID": ["Sample:1", ""],
    "Int": [0, 7, -(2**31)],
    "String": ["a", "é", ""],
    "Upload": [Incoming("a.jpg", b"", 0)],
}
WRONG: list[Any] = [
    None, True, 3, 3.0, 2.5, 2**31, 10**400, "x", "3", [], [None], {}, {"?": 1}, float("inf"), ["a"], [[1]],
]  # fmt: skip
TYPES = [type_ for type_ in schema()._schema.type_map.values() if is_input_object_type(type_)]
COERCION = VariableCoercion(schema()._schema)
ROUNDS = 30


class Values:
    """Random values of input types. `wrong`: how often one is of any other type."""

    def __init__(self, seed: int, wrong: float) -> None:
        self.random, self.wrong = random.Random(seed), wrong

    def of(self, type_: Any, depth: int = 0) -> Any:
        if self.random.random() < self.wrong:
            return self.random.choice(WRONG)
        if is_non_null_type(type_):
            return self._non_null(type_.of_type, depth)
        return None if self.random.random() < 0.1 else self._non_null(type_, depth)

    def _non_null(self, type_: Any, depth: int) -> Any:
        if is_list_type(type_):
            return [self.of(type_.of_type, depth + 1) for _ in range(self.random.randrange(3))]
        if is_input_object_type(type_):
            return self._object(type_, depth)
        if isinstance(type_, GraphQLEnumType):
            return self.random.choice(list(type_.values))
        return self.random.choice(LEAVES[type_.name])

    def _object(self, type_: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        if "one_of" in repr(type_.out_type):
            name = self.random.choice(sorted(type_.fields))
            given = {name: self._non_null(type_.fields[name].type, depth + 1)}
        else:
            given = {
                name: self.of(field.type, depth + 1)
                for name, field in type_.fields.items()
                if is_required_input_field(field) or self.random.random() < 0.6 / (depth + 1)
            }
        if self.random.random() < self.wrong:
            given["?"] = 1
        return given


def plain(values: VariableValues | list[GraphQLError]) -> str:
    """As a text, in which 5 is not 5.0, and keys have an order."""
    if isinstance(values, list):
        return "\n".join(map(str, values))
    return repr((values.coerced, {name: source.value for name, source in values.sources.items()}))


@pytest.mark.parametrize("type_", TYPES, ids=[type_.name for type_ in TYPES])
@pytest.mark.parametrize("wrong", [0, 0.02])
def test_validators_return_what_graphql_coerces_to(type_: GraphQLInputObjectType, wrong: float) -> None:
    [operation] = parse(f'query ($a: {type_.name}!, $b: {type_.name}, $c: [ID!] = ["x"]) {{ a }}').definitions
    accepted = 0
    for seed in range(ROUNDS):
        values = Values(seed, wrong)
        variables = {"a": values.of(type_), "b": values.of(type_)}
        expected = COERCION.coerce(operation, variables)  # type: ignore[arg-type]
        found = COERCION.coerce_many(operation, variables)  # type: ignore[arg-type]
        assert plain(found) == plain(expected)
        accepted += not isinstance(expected, list)
        if not wrong and variables["a"] is not None:
            assert COERCION._validated(operation.variable_definitions[0], variables) is not None  # type: ignore[attr-defined]
    assert accepted > ROUNDS / 10


@pytest.mark.parametrize("value", [*WRONG, "Sample:1", "\ud800", ""])
@pytest.mark.parametrize("type_", ["ID!", "ID", "String!", "Boolean", "[ID!]", 'String = "x"', "Int"])
def test_plain_variables_are_coerced_as_by_graphql(type_: str, value: Any) -> None:
    ast = parse(f"query ($a: {type_}) {{ a }}")
    [operation] = ast.definitions
    document = Document("", ast, operation, {}, DocumentLimits(), schema().documents._inputs)  # type: ignore[arg-type]
    for variables in ({"a": value}, {"a": value, "b": 1}, {}):
        expected = COERCION.coerce(document.operation, variables)
        assert plain(COERCION.coerce_few(document, variables)) == plain(expected)


def test_a_text_without_a_trigram_has_a_plan_of_its_own() -> None:
    """No index of substrings finds it."""

    def shape(text: str) -> object:
        return translation.shape({"text": text, "filter": {"path": {"contains": text}}})

    assert shape("77") == shape("a_b.c") == shape("é") != shape("image") == shape("a_bcd") == shape("日本語")
    for text, has_trigram in (("77", False), ("image", True)):
        values = VariableValues({}, {"text": text, "filter": {"path": {"contains": text}}})
        made = translation.placeholders(values).coerced
        assert made["text"].has_trigram is made["filter"]["path"]["contains"].has_trigram is has_trigram
