"""The variables of an operation, coerced.

graphql-core takes some ten microseconds for each variable and for each input object: seconds for thousands of boxes.
Texts, ids and booleans are taken as they are. Many input objects are coerced by a validator, which pydantic-core makes
from their type, in a tenth of the time. It accepts only values of the declared types; whatever it refuses is coerced by
graphql-core again, whose errors clients get.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    VariableDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    type_from_ast,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.utilities.coerce_input_value import coerce_default_value
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from schema.execution.documents import Document

PlainVariables = Sequence[tuple[GraphQLVariableSignature, type]]  # and the type of values that are not coerced

MAX_ERRORS: Final = 20
PLAIN: Final[Mapping[object, type]] = {GraphQLBoolean: bool, GraphQLID: str, GraphQLString: str}
AS_IT_IS: Final = GraphQLInputObjectType.out_type
SCALARS: Final[Mapping[object, CoreSchema]] = {
    GraphQLBoolean: core_schema.bool_schema(strict=True),
    GraphQLFloat: core_schema.float_schema(strict=True, allow_inf_nan=False),
    GraphQLID: core_schema.str_schema(strict=True),
    GraphQLInt: core_schema.int_schema(strict=True, ge=-(2**31), le=2**31 - 1),
    GraphQLString: core_schema.str_schema(strict=True),
}


class VariableCoercion:
    """Coerces the variables of operations on one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._validators: dict[str, SchemaValidator] = {}  # by input type
        self._plain: WeakKeyDictionary[Document, PlainVariables | None] = WeakKeyDictionary()

    def coerce(self, operation: OperationDefinitionNode, raw: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The values, or why they are refused."""
        return self._coerce(operation.variable_definitions or (), raw)

    def coerce_few(self, document: Document, raw: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The same, at once where they are plain."""
        if document not in self._plain:
            self._plain[document] = self._plain_variables(document.operation)
        plain = self._plain[document]
        values = None if plain is None else _as_they_are(plain, raw)
        return self.coerce(document.operation, raw) if values is None else values

    def _plain_variables(self, operation: OperationDefinitionNode) -> "PlainVariables | None":
        """None where there are others."""
        plain = []
        for definition in operation.variable_definitions or ():
            signature = get_variable_signature(self._schema, definition)
            kind = None if isinstance(signature, GraphQLError) else PLAIN.get(get_nullable_type(signature.type))
            if isinstance(signature, GraphQLError) or kind is None:
                return None
            plain.append((signature, kind))
        return plain

    def coerce_many(
        self, operation: OperationDefinitionNode, raw: Mapping[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        """The same, where they contain many input objects."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for definition in operation.variable_definitions or ():
            values = self._validated(definition, raw) or self._coerce([definition], raw)
            if isinstance(values, list):
                return self.coerce(operation, raw)  # with the errors of all variables
            sources |= values.sources
            coerced |= values.coerced
        return VariableValues(sources, coerced)

    def _coerce(
        self, definitions: Sequence[VariableDefinitionNode], raw: Mapping[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        return get_variable_values(self._schema, definitions, dict(raw), MAX_ERRORS)

    def _validated(self, definition: VariableDefinitionNode, raw: Mapping[str, Any]) -> VariableValues | None:
        """None where graphql-core has to look at the value."""
        value = raw.get(definition.variable.name.value)
        signature = get_variable_signature(self._schema, definition)
        type_ = get_named_type(type_from_ast(self._schema, definition.type))
        if not isinstance(value, dict) or isinstance(signature, GraphQLError) or not is_input_object_type(type_):
            return None
        validator = self._validators.get(type_.name) or self._validators.setdefault(type_.name, validator_of(type_))
        try:
            coerced = validator.validate_python(value)
        except Exception:  # also those of scalars
            return None
        name = signature.name
        return VariableValues({name: VariableValueSource(signature, value)}, {name: coerced})


def _as_they_are(variables: "PlainVariables", raw: Mapping[str, Any]) -> VariableValues | None:
    """None where graphql-core has to look at a value: because it is absent, null or of another type."""
    sources: dict[str, VariableValueSource] = {}
    coerced: dict[str, Any] = {}
    for signature, kind in variables:
        name = signature.name
        value = raw.get(name)
        if type(value) is not kind:
            return None
        sources[name] = VariableValueSource(signature, value)
        coerced[name] = value
    return VariableValues(sources, coerced)


def validator_of(type_: GraphQLInputObjectType) -> SchemaValidator:
    """Returns from dictionaries what graphql-core coerces them to, or raises."""
    objects: dict[str, CoreSchema] = {}
    root = _nullable(type_, objects)
    return SchemaValidator(core_schema.definitions_schema(root, list(objects.values())))


def _schema_of(type_: Any, objects: dict[str, CoreSchema]) -> CoreSchema:
    return _non_null(type_.of_type, objects) if is_non_null_type(type_) else _nullable(type_, objects)


def _nullable(type_: Any, objects: dict[str, CoreSchema]) -> CoreSchema:
    return core_schema.nullable_schema(_non_null(type_, objects))


def _non_null(type_: Any, objects: dict[str, CoreSchema]) -> CoreSchema:
    """Adds the input objects that it finds to `objects`, by name: they may contain each other."""
    if is_list_type(type_):
        items = _schema_of(type_.of_type, objects)
        if is_input_object_type(get_named_type(type_)):
            return core_schema.no_info_wrap_validator_function(_each, items)
        return core_schema.list_schema(items, strict=True)
    if is_input_object_type(type_):
        if type_.name not in objects:
            objects[type_.name] = core_schema.any_schema()  # until it is known
            objects[type_.name] = _object(type_, objects)
        return core_schema.definition_reference_schema(type_.name)
    return SCALARS.get(type_) or core_schema.no_info_plain_validator_function(type_.coerce_input_value)


def _each(values: Any, validate: Callable[[Any], Any]) -> list[Any]:
    """One by one: within a list, pydantic-core would keep the interpreter, which the event loop waits for."""
    if not isinstance(values, list):
        raise ValueError
    return [validate(value) for value in values]


def _object(type_: GraphQLInputObjectType, objects: dict[str, CoreSchema]) -> CoreSchema:
    fields = {field.out_name or name: _field(name, field, objects) for name, field in type_.fields.items()}
    name, is_plain = type_.name, type_.out_type is AS_IT_IS
    schema = core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True, ref=name if is_plain else None)
    return schema if is_plain else core_schema.no_info_after_validator_function(type_.out_type, schema, ref=name)


def _field(name: str, field: GraphQLInputField, objects: dict[str, CoreSchema]) -> core_schema.TypedDictField:
    schema, default = _schema_of(field.type, objects), coerce_default_value(field)
    if default is not Undefined:
        schema = core_schema.with_default_schema(schema, default=default)
    return core_schema.typed_dict_field(schema, required=is_required_input_field(field), validation_alias=name)
