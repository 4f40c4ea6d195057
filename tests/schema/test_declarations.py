"""Readable fields are declared for clients and compiled to SQL; the server does not start where the two differ."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLSchema
from graphql import build_schema as schema_of

from db import queries
from db.queries import Field, ObjectType
from db.queries.compile_context import RowType
from schema import SNAPSHOT, build_schema
from schema.execution.declarations import DeclarationError, check_declarations

TYPES = queries.TYPES


@pytest.fixture(scope="module")
def declared() -> GraphQLSchema:
    return schema_of(SNAPSHOT.read_text())


def with_field(type_name: str, field: str, compiled: Field | None) -> Mapping[str, ObjectType]:
    """The compiled types with one field otherwise, or left out."""
    type_ = TYPES[type_name]
    fields = {name: each for name, each in type_.fields.items() if name != field}
    return {**TYPES, type_name: replace(type_, fields=fields if compiled is None else {**fields, field: compiled})}


def test_what_is_declared_is_compiled_and_the_other_way_round(declared: GraphQLSchema) -> None:
    check_declarations(declared, TYPES)


@pytest.mark.parametrize("type_name", ["Sample", "Statistics", "PageInfo", "LabelChange", "UploadLimits", "Query"])
def test_a_declared_field_that_is_not_compiled_is_named(declared: GraphQLSchema, type_name: str) -> None:
    field = next(iter(TYPES[type_name].fields))
    with pytest.raises(DeclarationError, match=f"^{type_name}.{field} is declared in schema/types, but not compiled"):
        check_declarations(declared, with_field(type_name, field, None))


def test_a_compiled_field_that_is_not_declared_is_named(declared: GraphQLSchema) -> None:
    with pytest.raises(DeclarationError, match=r"^Sample\.mood is compiled in db/queries/types, but not declared"):
        check_declarations(declared, with_field("Sample", "mood", TYPES["Sample"].fields["path"]))


@pytest.mark.parametrize(
    ("type_name", "field", "change", "message"),
    [
        ("Sample", "width", {"is_nullable": False}, "is declared as nullable, but compiled as not nullable"),
        ("Sample", "path", {"is_nullable": True}, "is compiled as nullable, but declared as not nullable"),
        ("Dataset", "labels", {"is_list": False}, "is declared as a list, but compiled as not a list"),
        (
            "Query",
            "nodes",
            {"has_nullable_items": False},
            "is declared as a list of nullable items, but compiled as not a list of",
        ),
        (
            "Dataset",
            "labels",
            {"has_nullable_items": True},
            "is compiled as a list of nullable items, but declared as not a list of",
        ),
        ("Label", "name", {"is_list": True}, "is compiled as a list, but declared as not a list"),
    ],
)
def test_a_field_that_is_null_or_a_list_on_one_side_only_is_named(
    declared: GraphQLSchema, type_name: str, field: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=f"^{type_name}.{field} {message}"):
        check_declarations(declared, with_field(type_name, field, replace(TYPES[type_name].fields[field], **change)))


def test_a_type_that_only_one_side_has_is_named(declared: GraphQLSchema) -> None:
    without = {name: type_ for name, type_ in TYPES.items() if name != "Circle"}
    with pytest.raises(DeclarationError, match=r"^Circle is readable, but not compiled"):
        check_declarations(declared, without)
    with pytest.raises(DeclarationError, match=r"^Robot is compiled in db/queries, but not readable"):
        check_declarations(declared, {**TYPES, "Robot": ObjectType("Robot", {})})


def test_all_disagreements_are_named_at_once(declared: GraphQLSchema) -> None:
    types = {**with_field("Sample", "path", None), "Robot": ObjectType("Robot", {})}
    with pytest.raises(DeclarationError) as error:
        check_declarations(declared, types)
    assert len(str(error.value).splitlines()) == 2


def test_the_server_does_not_start_with_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "TYPES", with_field("Version", "name", None))
    with pytest.raises(DeclarationError, match=r"^Version\.name is declared"):
        build_schema()


COLUMNS = [
    (type_, name, field.column)
    for type_ in TYPES.values()
    if isinstance(type_, RowType)
    for name, field in type_.fields.items()
    if field.column
]


@pytest.mark.parametrize(
    ("type_", "name", "column"), COLUMNS, ids=[f"{type_.name}.{name}" for type_, name, _ in COLUMNS]
)
def test_a_column_is_compiled_as_nullable_exactly_if_it_is(type_: RowType, name: str, column: str) -> None:
    """A part that is NULL vanishes from the answer's text, and leaves no JSON."""
    stored = type_.model.__table__.c[column]  # type: ignore[attr-defined]
    assert type_.fields[name].is_nullable == stored.nullable
