"""The cost of an operation: how many values its answer may contain, and what its filters cost."""

from collections.abc import Container, Iterator, Mapping

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from db import defaults
from db.queries.pagination import DEFAULT_SIZE
from schema.execution.document_limits import Fragments
from schema.inputs.limits import SEARCHES, InputSize

UNPAGED = 10  # assumed length of a list without pages; its real length is limited where it is read
CRITERION = 1_000  # values: what compiling one criterion of a filter costs
SEARCH = 20_000  # values: what a criterion costs that may read every row of a dataset
PAGE_ARGUMENTS = frozenset({"first", "last", "ids"})


class Cost:
    """The number of values one operation may return: each field counts 1, times every page it is in, and the
    criteria of a filter count as what they cost. `unpaged`: the names of fields that are lists without pages.

    Pages beyond the largest, `page`, count as the largest: they are refused later, with a better message.
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
        self._sizes: Mapping[str, InputSize] = {}

    def variables(self) -> tuple[str, ...]:
        """The names of the variables with page sizes, on which the cost depends."""
        sets = [self._operation.selection_set, *(node.selection_set for node in self._fragments.values())]
        return tuple(sorted({name for each in sets for name in _page_variables(each)}))

    def count(self, variables: Mapping[str, object], sizes: Mapping[str, InputSize] | None = None) -> int:
        """`sizes`: of the variables that are objects or lists."""
        self._sizes = sizes or {}
        values = {
            node.variable.name.value: variables.get(node.variable.name.value, length(node.default_value))
            for node in self._operation.variable_definitions or ()
        }
        return self._selection_set(self._operation.selection_set, values, {})

    def _selection_set(self, node: SelectionSetNode, variables: Mapping[str, object], costs: dict[str, int]) -> int:
        return sum(self._selection(each, variables, costs) for each in node.selections)

    def _selection(self, node: SelectionNode, variables: Mapping[str, object], costs: dict[str, int]) -> int:
        """`costs`: of the fragments counted so far."""
        match node:
            case FieldNode() if node.selection_set:
                below = self._selection_set(node.selection_set, variables, costs)
                filters = sum(
                    self._criteria(argument.value, in_filter=argument.name.value == "filter")
                    for argument in node.arguments or ()
                )
                return 1 + filters + self._length_of(node, node.selection_set, variables) * below
            case InlineFragmentNode():
                return self._selection_set(node.selection_set, variables, costs)
            case FragmentSpreadNode() if fragment := self._fragments.get(node.name.value):
                name = node.name.value
                if name not in costs:
                    costs[name] = 0
                    costs[name] = self._selection_set(fragment.selection_set, variables, costs)
                return costs[name]
        return 1

    def _length_of(self, node: FieldNode, selected: SelectionSetNode, variables: Mapping[str, object]) -> int:
        """The assumed length of the list that a field is; 1 for no list."""
        arguments = [each for each in node.arguments or () if each.name.value in PAGE_ARGUMENTS]
        sizes = (length(argument.value, variables) for argument in arguments)
        limited = [min(size, self._page) for size in sizes if size is not None]
        if limited:
            return max(*limited, 1)
        if any(isinstance(each, FieldNode) and each.name.value in ("edges", "nodes") for each in selected.selections):
            return min(DEFAULT_SIZE, self._page)
        return UNPAGED if node.name.value in self._unpaged else 1

    def _criteria(self, value: ValueNode, *, in_filter: bool) -> int:
        """What the filters in an argument cost."""
        match value:
            case VariableNode():
                size = self._sizes.get(value.name.value, InputSize())
                return size.criteria * CRITERION + size.searches * SEARCH
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


def length(value: object, variables: Mapping[str, object] | None = None) -> int | None:
    """How many items an argument requests: a number, or the length of a list; None where it does not say."""
    match value:
        case VariableNode():
            return length((variables or {}).get(value.name.value), variables)
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


def _page_variables(selected: SelectionSetNode) -> Iterator[str]:
    for node in selected.selections:
        if isinstance(node, FieldNode):
            for argument in node.arguments or ():
                if argument.name.value in PAGE_ARGUMENTS and isinstance(argument.value, VariableNode):
                    yield argument.value.name.value
        if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
            yield from _page_variables(node.selection_set)
