"""What clients expect of every schema, and Strawberry declares otherwise: applied to the whole schema at once."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLNonNull,
    GraphQLSchema,
    Undefined,
    get_named_type,
    is_input_object_type,
    is_object_type,
)

Inputs = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]


def apply_conventions(schema: GraphQLSchema) -> None:
    """Changes the schema in place."""
    _make_inputs_optional(schema)
    assert schema.mutation_type is not None
    for field in schema.mutation_type.fields.values():
        # Nullable: when one mutation is refused, the others of the request keep their answers.
        if isinstance(field.type, GraphQLNonNull):
            field.type = field.type.of_type
        for argument in field.args.values():
            argument.description = get_named_type(argument.type).description


def _make_inputs_optional(schema: GraphQLSchema) -> None:
    """Arguments and input fields with a default are nullable, and null means the default.

    Strawberry declares `create_missing: bool = False` as `Boolean! = false`, for which a variable that is null, or one
    of the type `Boolean`, is refused. A filter distinguishes a null from a missing criterion: there null stays, and
    `schema.inputs.filters` gives it the default.
    """
    for type_ in schema.type_map.values():
        if is_object_type(type_):
            for field in type_.fields.values():
                _make_nullable(field.args)
        elif is_input_object_type(type_):
            is_changed = _make_nullable(type_.fields)
            if is_changed and not type_.name.endswith("Filter"):
                type_.out_type = partial(with_defaults, type_.fields)  # type: ignore[method-assign]


def _make_nullable(inputs: Inputs) -> bool:
    """Returns whether there was one to change."""
    is_changed = False
    for each in inputs.values():
        if isinstance(each.type, GraphQLNonNull) and each.default_value is not Undefined:
            each.type, is_changed = each.type.of_type, True
    return is_changed


def with_defaults(inputs: Inputs, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, by the names that clients give them, with the default of each that is null and has one."""
    defaults = {name: inputs[name].default_value for name, value in values.items() if value is None}
    return {**values, **{name: default for name, default in defaults.items() if default is not Undefined}}
