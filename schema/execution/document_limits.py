"""Bounds every document in one linear pass over its syntax tree, before it is validated.

Fragments are measured once and remembered, so a document that spreads each fragment twice costs its length, never
2^n. The ready-made limiters walk every spread again, and validation itself is quadratic in repeated fields: with
this guard in front of it, the worst document found costs some tens of milliseconds.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from db import defaults
from db.queries.pagination import DEFAULT_SIZE
from schema.inputs.limits import SEARCHES, Held

NOTHING = Held()


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What one document may hold. `GET /graphql`'s introspection uses 183 tokens; an honest dashboard some hundreds."""

    source_characters: int = defaults.SOURCE
    tokens: int = defaults.TOKENS
    comments: int = 300
    operations: int = 30
    fragments: int = 100
    spreads: int = 200
    directives: int = defaults.DIRECTIVES
    repeats: int = 5  # of one response key, written in one selection set
    depth: int = defaults.DEPTH  # below `__schema` and `__type`, which validation bounds, fields do not count
    root_fields: int = defaults.ROOT_FIELDS
    aliases: int = defaults.ALIASES  # after fragments are expanded
    fields: int = 4_000  # after fragments are expanded
    cost: int = defaults.COST  # values that the answer may hold: fields, multiplied by the pages they are in
    items: int = defaults.IDS  # of a list among the inputs, where its field declares no other limit
    inputs: int = defaults.INPUTS  # input objects in the variables
    page: int = defaults.PAGE


@dataclass(frozen=True, slots=True)
class Excess:
    """The one limit that a document passes, with how far it went where that is known."""

    limit: str
    most: int
    found: int

    def __str__(self) -> str:
        what = self.limit.replace("_", " ")
        return f"The document is too large: {what} {self.found}, and {self.most} is the most. Ask for less at once."


@dataclass(slots=True)
class Measure:
    """What a selection set amounts to once its fragments are expanded."""

    depth: int = 0
    roots: int = 0
    fields: int = 0
    aliases: int = 0

    def add(self, other: "Measure") -> None:
        self.depth = max(self.depth, other.depth)
        self.roots += other.roots
        self.fields += other.fields
        self.aliases += other.aliases


Fragments = Mapping[str, FragmentDefinitionNode]


class Guard:
    """Measures one document. `excess` is the first limit passed, or None."""

    def __init__(self, document: DocumentNode, limits: DocumentLimits) -> None:
        definitions = document.definitions
        self.limits = limits
        self.operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
        self.fragments = fragments_of(document)
        self.fragment_count = sum(1 for node in definitions if isinstance(node, FragmentDefinitionNode))
        self.spreads = 0
        self.directives = 0
        self.repeats = 0
        self._measured: dict[str, Measure | None] = {}

    def excess(self) -> Excess | None:
        measures = [self._measure(node.selection_set) for node in self.operations]
        for name, node in self.fragments.items():  # also those that nothing spreads: validation reads them all
            self._fragment(name, node)
        self.directives += sum(len(node.directives or ()) for node in (*self.operations, *self.fragments.values()))
        every = [*measures, *(measure for measure in self._measured.values() if measure)]
        found = {
            "operations": len(self.operations),
            "fragments": self.fragment_count,
            "spreads": self.spreads,
            "directives": self.directives,
            "repeats": self.repeats,
            "depth": max((measure.depth for measure in measures), default=0),
            "root_fields": max((measure.roots for measure in measures), default=0),
            "aliases": max((measure.aliases for measure in every), default=0),
            "fields": max((measure.fields for measure in every), default=0),
        }
        passed = ((name, getattr(self.limits, name), count) for name, count in found.items())
        return next((Excess(name, most, min(count, 10**9)) for name, most, count in passed if count > most), None)

    def _measure(self, selection_set: SelectionSetNode) -> Measure:
        total = Measure()
        keys: Counter[str] = Counter()
        for node in selection_set.selections:
            self.directives += len(node.directives or ())
            match node:
                case FieldNode():
                    keys[node.alias.value if node.alias else node.name.value] += 1
                    total.add(self._field(node))
                case InlineFragmentNode():
                    total.add(self._measure(node.selection_set))
                case FragmentSpreadNode():
                    self.spreads += 1
                    total.add(self._fragment(node.name.value, self.fragments.get(node.name.value)))
        self.repeats = max(self.repeats, max(keys.values(), default=0))
        return total

    def _field(self, node: FieldNode) -> Measure:
        measure = Measure(fields=1, aliases=int(node.alias is not None))
        if node.selection_set:
            measure.add(self._measure(node.selection_set))
        introspection = node.name.value.startswith("__")
        measure.depth = 1 if introspection else measure.depth + 1
        measure.roots = 1
        return measure

    def _fragment(self, name: str, node: FragmentDefinitionNode | None) -> Measure:
        """A fragment is measured once. One that spreads itself adds nothing here: validation refuses it."""
        if node is None:
            return Measure()
        if name not in self._measured:
            self._measured[name] = None
            self._measured[name] = self._measure(node.selection_set)
        return self._measured[name] or Measure()


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


# -- cost: how many values an answer may hold -----------------------------------------------------------------------

UNPAGED = 10  # assumed length of a list without pages; what it really holds is bounded where it is read
CRITERION = 1_000  # values: what compiling one criterion of a filter costs
SEARCH = 20_000  # values: what a criterion costs that may read every row of a dataset
PAGING = frozenset({"first", "last", "ids"})


class Cost:
    """The number of values one operation may return: each field counts 1, times every page it lies in, and the
    criteria of a filter count as what they cost. `unpaged`: the names of fields that are lists without pages.

    Pages beyond the greatest, `page`, are counted as the greatest: they are refused later, with a better message.
    """

    def __init__(
        self,
        operation: OperationDefinitionNode,
        fragments: Fragments,
        unpaged: Container[str] = frozenset(),
        page: int = defaults.PAGE,
    ) -> None:
        self._page = page
        self._operation = operation
        self._fragments = fragments
        self._unpaged = unpaged
        self._held: Mapping[str, Held] = {}

    def variables(self) -> tuple[str, ...]:
        """The names of the variables on which the cost depends."""
        sets = [self._operation.selection_set, *(node.selection_set for node in self._fragments.values())]
        return tuple(sorted({name for each in sets for name in _paging_variables(each)}))

    def count(self, variables: Mapping[str, object], held: Mapping[str, Held] | None = None) -> int:
        """`held`: what the variables hold that are objects or lists."""
        self._held = held or {}
        defaults = {node.variable.name.value: node.default_value for node in self._operation.variable_definitions or ()}
        known = {name: variables.get(name, _size(value, {})) for name, value in defaults.items()}
        return self._set(self._operation.selection_set, known, {})

    def _set(self, selected: SelectionSetNode, variables: Mapping[str, object], seen: dict[str, int]) -> int:
        return sum(self._selection(node, variables, seen) for node in selected.selections)

    def _selection(self, node: SelectionNode, variables: Mapping[str, object], seen: dict[str, int]) -> int:
        match node:
            case FieldNode() if node.selection_set:
                below = self._set(node.selection_set, variables, seen)
                return 1 + self._filters(node) + self._multiplier(node, variables) * below
            case InlineFragmentNode():
                return self._set(node.selection_set, variables, seen)
            case FragmentSpreadNode() if fragment := self._fragments.get(node.name.value):
                name = node.name.value
                if name not in seen:
                    seen[name] = 0
                    seen[name] = self._set(fragment.selection_set, variables, seen)
                return seen[name]
        return 1

    def _multiplier(self, node: FieldNode, variables: Mapping[str, object]) -> int:
        sizes = [_size(argument.value, variables) for argument in node.arguments or () if argument.name.value in PAGING]
        known = [min(size, self._page) for size in sizes if isinstance(size, int)]
        if known:
            return max(*known, 1)
        if _is_connection(node):
            return min(DEFAULT_SIZE, self._page)
        return UNPAGED if node.name.value in self._unpaged else 1

    def _filters(self, node: FieldNode) -> int:
        found = [self._criteria(argument.value, argument.name.value == "filter") for argument in node.arguments or ()]
        return sum(found)

    def _criteria(self, value: ValueNode, in_filter: bool) -> int:
        """What the filters in an argument cost."""
        match value:
            case VariableNode():
                held = self._held.get(value.name.value, NOTHING)
                return held.criteria * CRITERION + held.searches * SEARCH
            case ListValueNode():
                return sum(self._criteria(each, in_filter) for each in value.values)
            case ObjectValueNode():
                return sum(self._criterion(each, in_filter) for each in value.fields)
        return 0

    def _criterion(self, node: ObjectFieldNode, in_filter: bool) -> int:
        name = node.name.value
        own = CRITERION + (SEARCH if name in SEARCHES else 0) if in_filter else 0
        return own + self._criteria(node.value, in_filter or name == "filter")


def _is_connection(node: FieldNode) -> bool:
    selections = node.selection_set.selections if node.selection_set else ()
    return any(isinstance(each, FieldNode) and each.name.value in ("edges", "nodes") for each in selections)


def _size(value: object, variables: Mapping[str, object]) -> object:
    """How many items an argument asks for: a number, or the length of a list; None where it does not say."""
    match value:
        case VariableNode():
            return _size(variables.get(value.name.value), variables)
        case IntValueNode():
            return int(value.value[:9])
        case ListValueNode():
            return len(value.values)
        case bool():
            return None
        case int():
            return value
        case list():
            return len(value)
    return None


def _paging_variables(selected: SelectionSetNode) -> Iterable[str]:
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield from (name for each in node.arguments or () for name in _variable_of(each))
        if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
            yield from _paging_variables(node.selection_set)


def _variable_of(argument: ArgumentNode) -> Iterable[str]:
    if argument.name.value in PAGING and isinstance(argument.value, VariableNode):
        yield argument.value.name.value
