"""The cost of an operation: how many values its answer may contain, and what its filters cost."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from db.queries.pagination import DEFAULT_SIZE, FACET_SIZE
from schema.execution.document_limits import Fragments
from schema.inputs.limits import CRITERION, SEARCH, SEARCHES

UNPAGED = 10  # assumed length of a list without pages; its real length is limited where it is read
FACETS = "facets"  # the field whose fields are facets: each may have to read and group every row
SEARCHING = frozenset({"similar", "duplicates"})  # fields that may have to read every row, for each item of a list
PAGE_ARGUMENTS = frozenset({"first", "last", "ids"})


@dataclass(frozen=True, slots=True)
class Cost:
    """The number of values one operation may return: each field counts 1, times every page it is in, and facets and the
    criteria of a filter count as what they cost.

    Pages beyond the largest, `page`, count as the largest: they are refused later, with a better message.
    """

    fragments: Fragments
    unpaged: Container[str]  # the names of fields that are lists without pages
    page: int
    lengths: Mapping[str, int | None]  # of the variables, see `length`
    filters: Mapping[str, int]  # what the filters in a variable cost
    _fragments: dict[tuple[str, bool], tuple[int, int]] = field(default_factory=dict, init=False)  # counted so far

    def count(self, selected: SelectionSetNode) -> int:
        return sum(self._selections(selected))

    def _selections(self, selected: SelectionSetNode, *, are_facets: bool = False) -> tuple[int, int]:
        """What fields cost for each item of the list that they are selected of, and what once, on whatever page."""
        costs = [self._selection(node, are_facets) for node in selected.selections]
        return sum(each for each, _ in costs), sum(once for _, once in costs)

    def _selection(self, node: SelectionNode, is_facet: bool) -> tuple[int, int]:
        match node:
            case FieldNode():
                cost = self._field(node, is_facet)
                return (0, cost) if node.name.value == FACETS else (cost, 0)
            case InlineFragmentNode():
                return self._selections(node.selection_set, are_facets=is_facet)
            case FragmentSpreadNode():
                key = node.name.value, is_facet
                if key not in self._fragments:
                    self._fragments[key] = self._selections(self.fragments[key[0]].selection_set, are_facets=is_facet)
                return self._fragments[key]
        return 0, 0

    def _field(self, node: FieldNode, is_facet: bool) -> int:
        is_search = node.name.value in SEARCHING or (is_facet and node.name.value != "__typename")
        cost = 1 + (SEARCH if is_search else 0)
        if not node.selection_set:
            return cost
        for argument in node.arguments or ():
            cost += SEARCH if argument.name.value == "near" else 0
            cost += self._criteria(argument.value, in_filter=argument.name.value == "filter")
        each, once = self._selections(node.selection_set, are_facets=node.name.value == FACETS)
        return cost + self._length_of(node, node.selection_set, is_facet) * each + once

    def _length_of(self, node: FieldNode, selected: SelectionSetNode, is_facet: bool) -> int:
        """The assumed length of the list that a field is; 1 for no list."""
        arguments = [each.value for each in node.arguments or () if each.name.value in PAGE_ARGUMENTS]
        sizes = [
            self.lengths.get(value.name.value) if isinstance(value, VariableNode) else length(value)
            for value in arguments
        ]
        limited = [min(size, self.page) for size in sizes if size is not None]
        if limited:
            return max(*limited, 1)
        if is_facet:
            return min(FACET_SIZE, self.page)
        if any(isinstance(each, FieldNode) and each.name.value in ("edges", "nodes") for each in selected.selections):
            return min(DEFAULT_SIZE, self.page)
        return UNPAGED if node.name.value in self.unpaged else 1

    def _criteria(self, value: ValueNode, *, in_filter: bool) -> int:
        """What the filters in an argument cost."""
        match value:
            case VariableNode():
                return self.filters.get(value.name.value, 0)
            case ListValueNode():
                return sum(self._criteria(each, in_filter=in_filter) for each in value.values)
            case ObjectValueNode():
                cost = 0
                for field in value.fields:
                    name = field.name.value
                    if in_filter:
                        cost += CRITERION + (SEARCH if name in SEARCHES else 0)
                    cost += self._criteria(field.value, in_filter=in_filter or name == "filter")
                return cost
        return 0


def length(value: object) -> int | None:
    """How many items a value of a page argument requests: a number, or the length of a list; None where it does not
    say."""
    match value:
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
