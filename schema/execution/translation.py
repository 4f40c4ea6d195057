"""GraphQL's selection sets in the compiler's own words: fragments, directives, aliases and variables are gone."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    FragmentSpreadNode,
    GraphQLAbstractType,
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

from db.queries import Select, type_of
from db.queries.filters import conditions
from db.queries.parameters import Inputs, Param
from schema.execution.documents import Document

GIVEN = object()  # the shape of a value that only its placeholder depends on


def shape(variables: Mapping[str, Any]) -> Hashable:
    """What a plan may depend on: which values are there, enum values, booleans, page sizes, how input objects are
    nested, and of which type a thing is whose id is given."""
    return tuple((name, _type(value) or _shape(value)) for name, value in variables.items())


def _type(value: Any) -> str | None:
    return type_of(value) if isinstance(value, str) else None


def _shape(value: Any) -> Hashable:
    match value:
        case None | int() | Enum():
            return value
        case dict():
            return tuple((name, _shape(each)) for name, each in value.items())
        case [] | [dict(), *_]:  # of which type an empty list is, nobody says
            return tuple(_shape(each) for each in value)
    return GIVEN


def symbols(values: VariableValues) -> VariableValues:
    """The variables with a Param in the place of every value that a plan must not depend on."""
    coerced = {name: _symbol(value, _variable(name), _type(value)) for name, value in values.coerced.items()}
    return VariableValues(values.sources, coerced)


Read = Callable[[Inputs], Any]


def _variable(name: str) -> Read:
    return lambda inputs: inputs.variables[name]


def _symbol(value: Any, read: Read, type_name: str | None = None) -> Any:
    match value:
        case None | int() | Enum():
            return value
        case dict():
            return {key: _symbol(each, _item(read, key)) for key, each in value.items()}
        case [] | [dict(), *_]:
            return [_symbol(each, _item(read, at)) for at, each in enumerate(value)]
    return Param(read, type_name)


def _item(read: Read, key: str | int) -> Read:
    return lambda inputs: read(inputs)[key]


def variables_in(document: Document, node: Node) -> frozenset[str]:
    """The names of the variables on which what is selected there depends, fragments included."""
    finder = _Variables(document)
    visit(node, finder)
    return frozenset(finder.found)


class _Variables(Visitor):
    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.found: set[str] = set()
        self.seen: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        name = node.name.value
        if name not in self.seen:
            self.seen.add(name)
            visit(self.document.fragments[name], self)


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates one operation, for variables of one shape."""

    schema: GraphQLSchema
    document: Document
    variables: VariableValues  # symbols

    def roots(self) -> tuple[Select, ...]:
        kind = self.schema.get_root_type(self.document.operation.operation)
        assert kind is not None
        operation, fragments = self.document.operation, self._fragments()
        collected = collect_fields(self.schema, fragments, self.variables, kind, operation)
        return self._selects(kind, collected.grouped_field_set)

    def of_field(self, parent: GraphQLObjectType, alias: str, details: list[FieldDetails]) -> Select:
        node = details[0].node
        field = self.schema.get_field(parent, node.name.value)
        assert field is not None
        args = {
            name: _argument(get_named_type(field.args[name].type).name, value)
            for name, value in get_argument_values(field, node, self.variables).items()
        }
        below = get_named_type(field.type)
        fields = {each.name: self._below(each, details) for each in self._possible(below)}
        return Select(name=node.name.value, alias=alias, args=args, fields=fields)

    def _selects(self, kind: GraphQLObjectType, grouped: GroupedFieldSet) -> tuple[Select, ...]:
        return tuple(self.of_field(kind, alias, details) for alias, details in grouped.items())

    def _below(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> tuple[Select, ...]:
        operation, fragments = self.document.operation, self._fragments()
        collected = collect_subfields(self.schema, fragments, self.variables, operation, kind, details)
        return self._selects(kind, collected.grouped_field_set)

    def _possible(self, kind: Any) -> list[GraphQLObjectType]:
        if is_abstract_type(kind):
            abstract: GraphQLAbstractType = kind
            return list(self.schema.get_possible_types(abstract))
        return [kind] if is_object_type(kind) else []

    def _fragments(self) -> dict[str, FragmentDetails]:
        return {name: FragmentDetails(node) for name, node in self.document.fragments.items()}


def _argument(type_name: str, value: Any) -> Any:
    """An argument in plain words: enum values by name, a sample filter as the compiler's own."""
    match value:
        case dict() if type_name == "SampleFilter":
            return sample_filter(value)
        case {"filter": dict(given)} if type_name == "SampleSelection":
            return {"filter": sample_filter(given)}
        case dict():
            return {name: _argument("", each) for name, each in value.items() if each is not None}
        case Enum():
            return value.name
    return value


def sample_filter(given: Mapping[str, Any]) -> conditions.SampleFilter:
    """From the coerced input object. Null and an empty list are no condition, except that `or: []` matches nothing."""
    return conditions.SampleFilter(
        state=_word(given.get("state")),
        labels=_made(given.get("labels"), _label_filter),
        created_at=_made(given.get("createdAt"), _time_filter),
        file_name=_made(given.get("fileName"), lambda each: conditions.TextFilter(**each)),
        path=_made(given.get("path"), lambda each: conditions.PathFilter(**each)),
        labeled_by=given.get("labeledBy") or None,
        hard=given.get("hard"),
        usage=_word(given.get("usage")),
        is_damaged=given.get("isDamaged"),
        and_=_all_made(given.get("and")),
        or_=_all_made(given.get("or")),
        not_=_made(given.get("not"), sample_filter),
    )


def _label_filter(given: Mapping[str, Any]) -> conditions.LabelFilter | None:
    if given["names"] == []:
        return None
    return conditions.LabelFilter(names=given["names"], match=given["match"].name)


def _time_filter(given: Mapping[str, Any]) -> conditions.TimeFilter:
    return conditions.TimeFilter(preset=_word(given.get("preset")), from_=given.get("from"), to=given.get("to"))


def _word(value: Enum | None) -> str | None:
    return None if value is None else value.name


def _made(given: Any, make: Callable[[Any], Any]) -> Any:
    return None if given is None else make(given)


def _all_made(given: Any) -> list[conditions.SampleFilter] | None:
    return None if given is None else [sample_filter(each) for each in given]
