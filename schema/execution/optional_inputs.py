"""Arguments and input fields with a default are nullable, and null means the default, as clients expect of them.

Strawberry declares `create_missing: bool = False` as `Boolean! = false`, for which a variable that is null, or one of
the type `Boolean`, is refused.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLNonNull,
    GraphQLSchema,
    Undefined,
    is_input_object_type,
    is_object_type,
)

Inputs = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]


def make_optional(schema: GraphQLSchema) -> None:
    """Changes the types of the schema in place. A filter distinguishes a null from a missing criterion: there null
    stays, and `schema.inputs.filters` gives it the default."""
    for type_ in schema.type_map.values():
        if is_object_type(type_):
            for field in type_.fields.values():
                _make_nullable(field.args)
        elif is_input_object_type(type_):
            changed = _make_nullable(type_.fields)
            if changed and not type_.name.endswith("Filter"):
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
