"""How large the variables of a request are, counted before they are coerced.

Coercing costs some ten microseconds a value: 200,000 ids blocked the event loop for a second, only to be refused. Here
a list is measured by its length against the limit of its field, and input objects are counted, in one pass over the raw
values that stops at the first limit. Literals need no such pass: the document's tokens are limited.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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

from schema.errors import Refused, refusal

MAX_ITEMS: Final = "max_items"  # of an input field, in its metadata: how long its list may be, where not the default
SEARCHES: Final = frozenset({"contains", "eq", "nameContains"})  # criteria that may have to read every row


def max_items(limit: int) -> dict[str, int]:
    """Metadata of an input field whose list may be longer than others."""
    return {MAX_ITEMS: limit}


@dataclass(frozen=True, slots=True)
class InputSize:
    """What one value contains: input objects in all; in filters, criteria, and text searches among them."""

    objects: int = 0
    criteria: int = 0
    searches: int = 0


@dataclass(frozen=True, slots=True)
class ValueLimits:
    """What a value may be: the input object type it takes (None for scalars and enums), and how long a list may be."""

    type: str | None
    max_items: int

    @classmethod
    def of_field(cls, field: GraphQLInputField, default: int) -> "ValueLimits":
        named = get_named_type(field.type)
        metadata = getattr(field.extensions.get("strawberry-definition"), "metadata", None) or {}
        limit = metadata.get(MAX_ITEMS, default) if is_list_type(get_nullable_type(field.type)) else 1
        return cls(named.name if isinstance(named, GraphQLInputObjectType) else None, limit)


class ListTooLong(Exception):
    """A list is too long. `path` grows while the error rises."""

    def __init__(self, limit: int, length: int) -> None:
        super().__init__()
        self.limit, self.length = limit, length
        self.path: list[str] = []

    def refused(self) -> Refused:
        path = ".".join(reversed(self.path))
        message = f"`{path}` has {self.length:,} items, and at most {self.limit:,} are accepted: send fewer at once."
        return refusal(message, "VALIDATION_FAILED", most=self.limit, given=self.length)


class TooManyObjects(Exception):
    """More input objects than a request may contain."""


class InputLimits:
    """The limits of one schema's input types. `items`: of a list that declares no limit of its own."""

    def __init__(self, schema: GraphQLSchema, *, items: int, objects: int) -> None:
        self._schema = schema
        self._max_objects = objects
        self._max_items = items
        types = [type_ for type_ in schema.type_map.values() if isinstance(type_, GraphQLInputObjectType)]
        self._fields = {
            type_.name: {name: ValueLimits.of_field(field, items) for name, field in type_.fields.items()}
            for type_ in types
        }
        # By the type of the items, for lists in variables: which field they are for is not known before coercion.
        self._longest: dict[str, int] = {}
        for type_ in types:
            for name, field in type_.fields.items():
                item, limit = get_named_type(field.type).name, self._fields[type_.name][name].max_items
                self._longest[item] = max(self._longest.get(item, items), limit)

    def measure(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, InputSize]:
        """The size of each variable that is an object or a list. Raises Refused for a list that is too long, and for
        too many input objects."""
        sizes: dict[str, InputSize] = {}
        left = self._max_objects
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            value = variables.get(name)
            if not isinstance(value, dict | list):
                continue
            item = str(get_named_type(type_from_ast(self._schema, definition.type)))
            counter = _Counter(self._fields, left)
            try:
                limit = self._longest.get(item, self._max_items)
                counter.add(value, ValueLimits(item if item in self._fields else None, limit))
            except ListTooLong as error:
                error.path.append(name)
                raise error.refused() from None
            except TooManyObjects:
                limit = self._max_objects
                message = f"The variables contain more than {limit:,} input objects: send fewer at once."
                raise refusal(message, "VALIDATION_FAILED", most=limit) from None
            sizes[name] = InputSize(counter.objects, counter.criteria, counter.searches)
            left -= counter.objects
        return sizes


@dataclass(slots=True)
class _Counter:
    """Counts while it descends into a value. It skips values of a wrong type: coercion refuses them."""

    fields: Mapping[str, Mapping[str, ValueLimits]]
    max_objects: int
    objects: int = 0
    criteria: int = 0
    searches: int = 0

    def add(self, value: object, limits: ValueLimits) -> None:
        if isinstance(value, list) and len(value) > limits.max_items:
            raise ListTooLong(limits.max_items, len(value))
        if limits.type is None:
            return
        if isinstance(value, dict):
            self._add_object(value, limits.type)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                try:
                    if isinstance(item, dict):
                        self._add_object(item, limits.type)
                except ListTooLong as error:
                    error.path.append(str(index))
                    raise

    def _add_object(self, value: dict[str, Any], type_name: str) -> None:
        self.objects += 1
        if self.objects > self.max_objects:
            raise TooManyObjects
        if type_name.endswith("Filter"):
            self.criteria += len(value)
            self.searches += len(SEARCHES & value.keys())
        fields = self.fields[type_name]
        for name, each in value.items():
            limits = fields.get(name)
            if limits is not None and isinstance(each, dict | list):
                try:
                    self.add(each, limits)
                except ListTooLong as error:
                    error.path.append(name)
                    raise
