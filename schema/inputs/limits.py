"""How large the variables of a request are, counted before they are coerced.

Coercing costs some ten microseconds a value: 200,000 ids blocked the event loop for a second, only to be refused. Here
a list is measured by its length against the limit of its field, and input objects are counted, in one pass over the raw
values that stops at the first limit. Literals need no such pass: the document's tokens are limited.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    type_from_ast,
)

from schema.errors import refusal

MAX_ITEMS: Final = "max_items"  # of an input field, in its metadata: how long its list may be, where not the default
# Criteria that may have to read every row.
SEARCHES: Final = frozenset({"contains", "eq", "annotationCount", "suggestions"})
CRITERION: Final = 1_000  # values: what compiling one criterion of a filter costs
SEARCH: Final = 20_000  # values: what a criterion costs that may read every row of a dataset

CONTAINERS: Final = (dict, list)  # a tuple: tested for every value of a large request, and a union costs twice as much

Path = tuple[str | int, ...]  # the name of a variable, then names of fields and indexes of lists


@dataclass(slots=True)
class InputSizes:
    """How many input objects the variables contain, and, by variable, what the filters in them cost."""

    objects: int = 0
    filters: dict[str, int] = field(default_factory=dict)


class ValueLimits(NamedTuple):
    """What a value may be: the type that it takes, and how long a list may be."""

    type: str
    max_items: int

    @classmethod
    def of_field(cls, field: GraphQLInputField, default: int) -> "ValueLimits":
        metadata = getattr(field.extensions.get("strawberry-definition"), "metadata", None) or {}
        limit = metadata.get(MAX_ITEMS, default) if is_list_type(get_nullable_type(field.type)) else 1
        return cls(get_named_type(field.type).name, limit)


class InputLimits:
    """The limits of one schema's input types. `items`: of a list that declares no limit of its own."""

    def __init__(self, schema: GraphQLSchema, *, items: int, objects: int) -> None:
        self._schema = schema
        self._max_objects = objects
        self._max_items = items
        self._fields = {
            type_.name: {name: ValueLimits.of_field(field, items) for name, field in type_.fields.items()}
            for type_ in schema.type_map.values()
            if isinstance(type_, GraphQLInputObjectType)
        }
        # By the type of the items, for lists in variables: which field they are for is not known before coercion.
        self._longest: dict[str, int] = {}
        for fields in self._fields.values():
            for item, limit in fields.values():
                self._longest[item] = max(self._longest.get(item, items), limit)

    def measure(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> InputSizes:
        """Raises Refused for a list that is too long, and for too many input objects."""
        sizes = InputSizes()
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            value = variables.get(name)
            if isinstance(value, dict | list):
                item = str(get_named_type(type_from_ast(self._schema, definition.type)))
                limits = ValueLimits(item, self._longest.get(item, self._max_items))
                self._add(sizes, value, limits, (name,))
        return sizes

    def _add(self, sizes: InputSizes, value: object, limits: ValueLimits, path: Path) -> None:
        """Counts a value, which lies at this path. Skips values of a wrong type: coercion refuses them."""
        if isinstance(value, list):
            if len(value) > limits.max_items:
                raise refusal(
                    f"`{'.'.join(map(str, path))}` has {len(value):,} items, and at most {limits.max_items:,} are "
                    "accepted: send fewer at once.",
                    "VALIDATION_FAILED",
                    most=limits.max_items,
                    given=len(value),
                )
            if limits.type in self._fields:
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        self._add_object(sizes, item, limits.type, (*path, index))
        elif isinstance(value, dict) and limits.type in self._fields:
            self._add_object(sizes, value, limits.type, path)

    def _add_object(self, sizes: InputSizes, value: dict[str, Any], type_name: str, path: Path) -> None:
        sizes.objects += 1
        if sizes.objects > self._max_objects:
            limit = self._max_objects
            message = f"The variables contain more than {limit:,} input objects: send fewer at once."
            raise refusal(message, "VALIDATION_FAILED", most=limit)
        if type_name.endswith("Filter"):
            cost = len(value) * CRITERION + len(SEARCHES & value.keys()) * SEARCH
            sizes.filters[str(path[0])] = sizes.filters.get(str(path[0]), 0) + cost
        fields = self._fields[type_name]
        for name, each in value.items():
            if isinstance(each, CONTAINERS) and name in fields:
                self._add(sizes, each, fields[name], (*path, name))
