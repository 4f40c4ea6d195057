"""GraphQL's selection sets in the compiler's terms: without fragments, directives, aliases and variables."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum
from typing import Any

from graphql import (
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    Node,
    VariableNode,
    get_argument_values,
    get_named_type,
    is_abstract_type,
    is_object_type,
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
from db.queries.parameters import Inputs, Parameter, has_trigram
from schema.enums import enum_name
from schema.execution.conventions import with_defaults
from schema.execution.documents import Document
from schema.inputs.filters import sample_filter
from schema.inputs.orders import DatasetOrderInput, SampleOrderInput

ANY_VALUE = object()  # the shape of a value that only its placeholder depends on
ONE_ITEM = object()  # the shape of a list of one such value
NO_TRIGRAM = object()  # the shape of a text that no index of substrings finds


# -- variables --------------------------------------------------------------------------------------------------------


def shape(variables: Mapping[str, Any]) -> Hashable:
    """What a plan may depend on: which values are there, enum values, booleans, page sizes, how input objects are
    nested, whether a list has one item and a text a trigram, and the type in a global id."""
    return tuple((name, _id_type(value) or _shape(value)) for name, value in variables.items())


def _shape(value: Any) -> Hashable:
    match value:
        case None | int() | Enum():
            return value
        case dict():
            return tuple((name, ANY_VALUE if _is_number(each) else _shape(each)) for name, each in value.items())
        case [] | [dict() | Enum(), *_]:  # the type of an empty list's items is unknown
            return tuple(_shape(each) for each in value)
        case [_]:
            return ONE_ITEM
        case str() if not has_trigram(value):
            return NO_TRIGRAM
    return ANY_VALUE


def _is_number(value: Any) -> bool:
    """In an input object: a number of a filter, never a page size."""
    return isinstance(value, int) and not isinstance(value, bool)


def placeholders(values: VariableValues) -> VariableValues:
    """The variables with a Parameter instead of every value that a plan must not depend on."""
    coerced = {
        name: _placeholder(value, _item(lambda inputs: inputs.variables, name), _id_type(value))
        for name, value in values.coerced.items()
    }
    return VariableValues(values.sources, coerced)


def _placeholder(value: Any, read: Callable[[Inputs], Any], type_name: str | None = None) -> Any:
    match value:
        case None | int() | Enum():
            return value
        case dict():
            items = {key: _item(read, key) for key in value}
            return {
                key: Parameter(items[key]) if _is_number(each) else _placeholder(each, items[key])
                for key, each in value.items()
            }
        case [] | [dict() | Enum(), *_]:
            return [_placeholder(each, _item(read, index)) for index, each in enumerate(value)]
    return Parameter(
        read,
        type_name,
        has_one_item=isinstance(value, list) and len(value) == 1,
        has_trigram=not isinstance(value, str) or has_trigram(value),
    )


def _item(read: Callable[[Inputs], Any], key: str | int) -> Callable[[Inputs], Any]:
    return lambda inputs: read(inputs)[key]


def _id_type(value: Any) -> str | None:
    return type_of(value) if isinstance(value, str) else None


def variables_in(document: Document, nodes: Iterable[Node]) -> frozenset[str]:
    """The names of the variables in these nodes, and in the fragments below them."""
    names: set[str] = set()
    fragments: set[str] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if isinstance(node, VariableNode):
            names.add(node.name.value)
        if isinstance(node, FragmentSpreadNode) and node.name.value not in fragments:
            fragments.add(node.name.value)
            left.append(document.fragments[node.name.value])
        for child in (getattr(node, key) for key in node.keys):
            left += [each for each in (child if isinstance(child, list | tuple) else [child]) if isinstance(each, Node)]
    return frozenset(names)


# -- selection sets ---------------------------------------------------------------------------------------------------


class Translator:
    """Translates one operation, for variables of one shape, with Parameters from `placeholders`."""

    def __init__(self, schema: GraphQLSchema, document: Document, variables: VariableValues) -> None:
        self.schema, self.operation, self.variables = schema, document.operation, variables
        self.fragments = {name: FragmentDetails(node) for name, node in document.fragments.items()}

    def root_fields(self) -> tuple[SelectedField, ...]:
        root = self.schema.get_root_type(self.operation.operation)
        assert root is not None
        collected = collect_fields(self.schema, self.fragments, self.variables, root, self.operation)
        return self._fields(root, collected.grouped_field_set)

    def field(self, parent: GraphQLObjectType, alias: str, details: list[FieldDetails]) -> SelectedField:
        node = details[0].node
        declared = self.schema.get_field(parent, node.name.value)
        assert declared is not None
        values = with_defaults(declared.args, get_argument_values(declared, node, self.variables))
        arguments = {
            name: _argument(get_named_type(declared.args[name].type).name, value) for name, value in values.items()
        }
        type_ = get_named_type(declared.type)
        possible: Iterable[GraphQLObjectType] = ()
        if is_abstract_type(type_):
            possible = self.schema.get_possible_types(type_)
        elif is_object_type(type_):
            possible = [type_]
        return SelectedField(
            node.name.value, alias, arguments, {each.name: self.below(each, details) for each in possible}
        )

    def below(self, type_: GraphQLObjectType, details: list[FieldDetails]) -> tuple[SelectedField, ...]:
        """What is selected of a field, where it is of this type."""
        collected = collect_subfields(self.schema, self.fragments, self.variables, self.operation, type_, details)
        return self._fields(type_, collected.grouped_field_set)

    def _fields(self, parent: GraphQLObjectType, grouped: GroupedFieldSet) -> tuple[SelectedField, ...]:
        return tuple(self.field(parent, alias, details) for alias, details in grouped.items())


def _argument(type_name: str, value: Any) -> Any:
    """An argument in plain values: enum values by name, a sample filter as the compiler's own."""
    match value:
        case dict() if type_name == "SampleFilter":
            return sample_filter(value)
        case {"filter": dict(filter_)} if type_name == "SampleSelectionInput":
            return {"filter": sample_filter(filter_)}
        case dict():
            return {name: _argument("", each) for name, each in value.items() if each is not None}
        case list():
            return [_argument("", each) for each in value]
        case SampleOrderInput() | DatasetOrderInput():  # the default in the schema
            return {"field": value.field.name, "direction": enum_name(value.direction)}
        case Enum():
            return value.name
    return value
