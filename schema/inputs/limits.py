"""What the variables of a request hold, counted before they are coerced.

Coercing costs some ten microseconds a value: 200,000 ids held the event loop for a second, only to be refused. Here a
list is measured by its length against the limit of its field, and input objects are counted, in one pass over the raw
values that stops at the first limit. Literals need no such pass: the document's tokens are limited.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLSchema,
    ListTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from schema.errors import Refused, refusal

MAX_ITEMS: Final = "max_items"  # of an input field, in its metadata: how long its list may be, where not the default
SEARCHES: Final = frozenset({"contains", "eq", "nameContains"})  # criteria that may have to read every row


def max_items(most: int) -> dict[str, int]:
    """Metadata of an input field whose list may be longer than others."""
    return {MAX_ITEMS: most}


@dataclass(frozen=True, slots=True)
class Held:
    """What one value holds: input objects in all; in filters, criteria, and searches among them."""

    objects: int = 0
    criteria: int = 0
    searches: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value: the input object type it takes (None for scalars and enums), and how long a list may be."""

    kind: str | None
    max_items: int


class TooMany(Exception):
    """A list is too long. `path` grows while the error rises."""

    def __init__(self, most: int, given: int) -> None:
        super().__init__()
        self.most, self.given = most, given
        self.path: list[str] = []

    def refused(self) -> Refused:
        path = ".".join(reversed(self.path))
        message = f"`{path}` has {self.given:,} items, and at most {self.most:,} are accepted: send fewer at once."
        return refusal(message, "VALIDATION_FAILED", most=self.most, given=self.given)


class TooManyObjects(Exception):
    """More input objects than a request may hold."""


class InputLimits:
    """The limits of one schema's input types. `items`: of a list that declares no limit of its own."""

    def __init__(self, schema: GraphQLSchema, *, items: int, objects: int) -> None:
        self._objects = objects
        self._items = items
        kinds = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
        self._fields = {
            kind.name: {name: self._slot(each.type, each.extensions) for name, each in kind.fields.items()}
            for kind in kinds
        }
        self._longest: dict[str, int] = {}  # by the type of the items, for variables: their place is not looked at
        for kind in kinds:
            for name, each in kind.fields.items():
                item, most = get_named_type(each.type).name, self._fields[kind.name][name].max_items
                self._longest[item] = max(self._longest.get(item, items), most)

    def measure(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Held]:
        """What each variable holds. Raises Refused for a list that is too long, and for too many input objects."""
        held: dict[str, Held] = {}
        left = self._objects
        for definition in operation.variable_definitions or ():
            name = definition.variable.name.value
            value = variables.get(name)
            if isinstance(value, dict | list):
                held[name] = self._measured(name, definition.type, value, left)
                left -= held[name].objects
        return held

    def _measured(self, name: str, kind: TypeNode, value: object, most: int) -> Held:
        item = _named(kind)
        slot = Slot(item if item in self._fields else None, self._longest.get(item, self._items))
        tally = _Tally(self._fields, most)
        try:
            tally.add(value, slot)
        except TooMany as error:
            error.path.append(name)
            raise error.refused() from None
        except TooManyObjects:
            message = f"The variables hold more than {self._objects:,} input objects: send fewer at once."
            raise refusal(message, "VALIDATION_FAILED", most=self._objects) from None
        return Held(tally.objects, tally.criteria, tally.searches)

    def _slot(self, kind: GraphQLInputType, extensions: Mapping[str, Any]) -> Slot:
        named = get_named_type(kind)
        declared = getattr(extensions.get("strawberry-definition"), "metadata", None) or {}
        most = declared.get(MAX_ITEMS, self._items) if is_list_type(get_nullable_type(kind)) else 1
        return Slot(named.name if isinstance(named, GraphQLInputObjectType) else None, most)


@dataclass(slots=True)
class _Tally:
    """Counts as it walks down a value. What is no value of the type it leaves alone: coercion refuses that."""

    fields: Mapping[str, Mapping[str, Slot]]
    most: int
    objects: int = 0
    criteria: int = 0
    searches: int = 0

    def add(self, value: object, slot: Slot) -> None:
        if isinstance(value, list):
            self._list(value, slot)
        elif slot.kind is not None and isinstance(value, dict):
            self._object(value, slot.kind)

    def _list(self, values: list[Any], slot: Slot) -> None:
        if len(values) > slot.max_items:
            raise TooMany(slot.max_items, len(values))
        if slot.kind is None:
            return
        for place, each in enumerate(values):
            try:
                if isinstance(each, dict):
                    self._object(each, slot.kind)
            except TooMany as error:
                error.path.append(str(place))
                raise

    def _object(self, value: dict[str, Any], kind: str) -> None:
        self.objects += 1
        if self.objects > self.most:
            raise TooManyObjects
        if kind.endswith("Filter"):
            self.criteria += len(value)
            self.searches += len(SEARCHES & value.keys())
        slots = self.fields[kind]
        for name, each in value.items():
            slot = slots.get(name)
            if slot is not None and isinstance(each, dict | list):
                try:
                    self.add(each, slot)
                except TooMany as error:
                    error.path.append(name)
                    raise


def _named(kind: TypeNode) -> str:
    while isinstance(kind, ListTypeNode | NonNullTypeNode):
        kind = kind.type
    return str(kind.name.value)  # type: ignore[attr-defined]
