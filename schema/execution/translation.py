"""GraphQL's selection sets in the compiler's terms: without fragments, directives, aliases and variables."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    Node,
    VariableNode,
    Visitor,
    get_argument_values,
    get_named_type,
    is_abstract_type,
    is_object_type,
    visit,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from db.queries import SelectedField, type_of
from db.queries.parameters import Inputs, Parameter
from schema.execution.documents import Document
from schema.inputs.filters import sample_filter

ANY_VALUE = object()  # the shape of a value that only its placeholder depends on


# -- variables --------------------------------------------------------------------------------------------------------


def shape(variables: Mapping[str, Any]) -> Hashable:
    """What a plan may depend on: which values are there, enum values, booleans, page sizes, how input objects are
    nested, and the type in a global id."""
    return tuple((name, _id_type(value) or _shape(value)) for name, value in variables.items())


def _shape(value: Any) -> Hashable:
    match value:
        case None | int() | Enum():
            return value
        case dict():
            return tuple((name, _shape(each)) for name, each in value.items())
        case [] | [dict(), *_]:  # the type of an empty list's items is unknown
            return tuple(_shape(each) for each in value)
    return ANY_VALUE


def placeholders(values: VariableValues) -> VariableValues:
    """The variables with a Parameter instead of every value that a plan must not depend on."""

    def reader(name: str) -> Callable[[Inputs], Any]:
        return lambda inputs: inputs.variables[name]

    coerced = {name: _placeholder(value, reader(name), _id_type(value)) for name, value in values.coerced.items()}
    return VariableValues(values.sources, coerced)


def _placeholder(value: Any, read: Callable[[Inputs], Any], type_name: str | None = None) -> Any:
    def item(key: str | int) -> Callable[[Inputs], Any]:
        return lambda inputs: read(inputs)[key]

    match value:
        case None | int() | Enum():
            return value
        case dict():
            return {key: _placeholder(each, item(key)) for key, each in value.items()}
        case [] | [dict(), *_]:
            return [_placeholder(each, item(index)) for index, each in enumerate(value)]
    return Parameter(read, type_name)


def _id_type(value: Any) -> str | None:
    return type_of(value) if isinstance(value, str) else None


def variables_in(document: Document, node: Node) -> frozenset[str]:
    """The names of the variables that the selection below the node depends on, fragments included."""
    visitor = _Variables(document)
    visit(node, visitor)
    return frozenset(visitor.names)


class _Variables(Visitor):
    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.names: set[str] = set()
        self.fragments: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        name = node.name.value
        if name not in self.fragments:
            self.fragments.add(name)
            visit(self.document.fragments[name], self)


# -- selection sets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates one operation, for variables of one shape."""

    schema: GraphQLSchema
    document: Document
    variables: VariableValues  # with Parameters, from `placeholders`

    def root_fields(self) -> tuple[SelectedField, ...]:
        operation = self.document.operation
        root = self.schema.get_root_type(operation.operation)
        assert root is not None
        collected = collect_fields(self.schema, self._fragments(), self.variables, root, operation)
        return self._fields(root, collected.grouped_field_set)

    def field(self, parent: GraphQLObjectType, alias: str, details: list[FieldDetails]) -> SelectedField:
        node = details[0].node
        declared = self.schema.get_field(parent, node.name.value)
        assert declared is not None
        arguments = {
            name: _argument(get_named_type(declared.args[name].type).name, value)
            for name, value in get_argument_values(declared, node, self.variables).items()
        }
        type_ = get_named_type(declared.type)
        possible: list[GraphQLObjectType] = []
        if is_abstract_type(type_):
            possible = list(self.schema.get_possible_types(type_))
        elif is_object_type(type_):
            possible = [type_]
        operation, fragments = self.document.operation, self._fragments()
        fields = {}
        for each in possible:
            collected = collect_subfields(self.schema, fragments, self.variables, operation, each, details)
            fields[each.name] = self._fields(each, collected.grouped_field_set)
        return SelectedField(node.name.value, alias, arguments, fields)

    def _fields(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> tuple[SelectedField, ...]:
        return tuple(self.field(parent, alias, details) for alias, details in grouped.items())

    def _fragments(self) -> dict[str, FragmentDetails]:
        return {name: FragmentDetails(node) for name, node in self.document.fragments.items()}


def _argument(type_name: str, value: Any) -> Any:
    """An argument in plain values: enum values by name, a sample filter as the compiler's own."""
    match value:
        case dict() if type_name == "SampleFilter":
            return sample_filter(value)
        case {"filter": dict(filter_)} if type_name == "SampleSelection":
            return {"filter": sample_filter(filter_)}
        case dict():
            return {name: _argument("", each) for name, each in value.items() if each is not None}
        case Enum():
            return value.name
    return value
