"""The schema as clients see it."""

from graphql import build_schema, introspection_from_schema, is_specified_scalar_type
from graphql.language import ast, parse

import schema as labelgraph
from schema import DESCRIPTION, SNAPSHOT, sdl

REFRESH = "the schema changed: look at the difference, then `./labelgraph sdl > schema/schema.graphql`"


def test_the_committed_schema_is_the_schema() -> None:
    assert SNAPSHOT.read_text() == sdl(), REFRESH


def test_the_committed_schema_is_valid_for_tools_that_read_it() -> None:
    schema = build_schema(SNAPSHOT.read_text())
    assert schema.query_type is not None
    assert not any(is_specified_scalar_type(kind) for kind in schema.type_map.values() if kind.name == "DateTime")


def test_every_type_field_argument_and_value_is_described() -> None:
    bare = [name for node in parse(SNAPSHOT.read_text()).definitions for name in undescribed(node)]
    assert bare == []


def test_the_schema_is_described_in_its_language_and_in_introspection() -> None:
    introspected = introspection_from_schema(labelgraph.build_schema()._schema)
    assert build_schema(SNAPSHOT.read_text()).description == introspected["__schema"]["description"] == DESCRIPTION


def undescribed(node: ast.Node, above: str = "") -> list[str]:
    if isinstance(node, ast.SchemaDefinitionNode | ast.DirectiveDefinitionNode) or not hasattr(node, "description"):
        return []
    name = above + node.name.value  # type: ignore[attr-defined]
    below = [
        each for part in ("fields", "arguments", "values") for each in getattr(node, part, None) or () if each.kind
    ]
    return ([] if node.description else [name]) + [each for one in below for each in undescribed(one, f"{name}.")]
