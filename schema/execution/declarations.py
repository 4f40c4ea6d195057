"""Readable fields are declared in `schema/types/` and compiled in `db/queries/types/`: both must agree."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from db.queries import Field, ObjectType


class DeclarationError(Exception):
    """A declaration that the compiler does not agree with. The server does not start."""


def check_declarations(schema: GraphQLSchema, compiled: Mapping[str, ObjectType]) -> None:
    """Raises DeclarationError for a type or a field that only one side has, and for a field that is nullable, a
    list, or a list of nullable items, on one side only."""
    declared = readable_types(schema)
    errors = [
        *(f"{name} is readable, but not compiled in db/queries." for name in declared.keys() - compiled.keys()),
        *(f"{name} is compiled in db/queries, but not readable." for name in compiled.keys() - declared.keys()),
    ]
    for name in declared.keys() & compiled.keys():
        errors += disagreements(name, declared[name].fields, compiled[name].fields)
    if errors:
        raise DeclarationError("\n".join(sorted(errors)))


def readable_types(schema: GraphQLSchema) -> dict[str, GraphQLObjectType]:
    """The object types that a query can reach, by name."""
    found: dict[str, GraphQLObjectType] = {}
    left: list[Any] = [schema.query_type]
    while left:
        type_ = left.pop()
        if is_abstract_type(type_):
            left += schema.get_possible_types(type_)
        elif is_object_type(type_) and type_.name not in found:
            found[type_.name] = type_
            left += [get_named_type(field.type) for field in type_.fields.values()]
    return found


def disagreements(name: str, declared: Mapping[str, GraphQLField], compiled: Mapping[str, Field]) -> Iterator[str]:
    for field in declared.keys() - compiled.keys():
        yield f"{name}.{field} is declared in schema/types, but not compiled in db/queries/types."
    for field in compiled.keys() - declared.keys():
        yield f"{name}.{field} is compiled in db/queries/types, but not declared in schema/types."
    for field in declared.keys() & compiled.keys():
        type_ = declared[field].type
        listed = get_nullable_type(type_)
        for adjective, is_declared, is_compiled in (
            ("nullable", not is_non_null_type(type_), compiled[field].is_nullable),
            ("a list", is_list_type(listed), compiled[field].is_list),
            (
                "a list of nullable items",
                is_list_type(listed) and not is_non_null_type(listed.of_type),
                compiled[field].has_nullable_items,
            ),
        ):
            if is_declared != is_compiled:
                sides = ("declared", "compiled") if is_declared else ("compiled", "declared")
                yield f"{name}.{field} is {sides[0]} as {adjective}, but {sides[1]} as not {adjective}."
