"""Documents: parsed, guarded and validated once, then known by their text."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    Source,
    StringValueNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    parse,
    validate,
    visit,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from schema import errors
from schema.errors import Refused, refusal, with_code
from schema.execution.document_limits import Cost, DocumentLimits, Fragments, Guard, fragments_of
from schema.inputs.limits import Held, InputLimits

# Comparing fields for overlap is quadratic: 2.3 s for 11 KB by default. The library takes its limit from here only.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 20_000

MOST_ERRORS = 20
COSTS_KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One operation of a valid document. The same text and operation name give the same object while it is cached.

    `plans` is for the executor: what it compiled for this operation, by the shape of the variables; it goes with the
    document.
    """

    ast: DocumentNode
    operation: OperationDefinitionNode
    fragments: Fragments
    limits: DocumentLimits
    inputs: InputLimits | None = None
    unpaged: frozenset[str] = frozenset()
    plans: dict[Hashable, Any] = field(default_factory=dict)
    _cost: Cost = field(init=False)
    _paging: tuple[str, ...] = field(init=False)
    _costs: dict[Hashable, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        cost = Cost(self.operation, self.fragments, self.unpaged, self.limits.page)
        object.__setattr__(self, "_cost", cost)
        object.__setattr__(self, "_paging", cost.variables())

    @property
    def name(self) -> str | None:
        return self.operation.name.value if self.operation.name else None

    @property
    def is_query(self) -> bool:
        return self.operation.operation is OperationType.QUERY

    @property
    def is_mutation(self) -> bool:
        return self.operation.operation is OperationType.MUTATION

    @property
    def is_subscription(self) -> bool:
        return self.operation.operation is OperationType.SUBSCRIPTION

    def held(self, variables: Mapping[str, Any]) -> Mapping[str, Held]:
        """What the variables hold that are objects or lists. Raises Refused where that is too much."""
        return self.inputs.measure(self.operation, variables) if self.inputs else {}

    def cost(self, variables: Mapping[str, Any], held: Mapping[str, Held] | None = None) -> int:
        """How many values the answer may hold, and what its filters cost. Raises Refused above the limit. Remembered
        by the page sizes asked for and by the size of filters."""
        held = self.held(variables) if held is None else held
        filters = tuple((name, each) for name, each in held.items() if each.criteria)
        sizes = (tuple(_size(variables.get(name)) for name in self._paging), filters)
        if sizes not in self._costs:
            if len(self._costs) >= COSTS_KEPT:
                self._costs.clear()
            self._costs[sizes] = self._cost.count(variables, held)
        cost = self._costs[sizes]
        if cost > self.limits.cost:
            raise refusal(
                f"The operation costs {cost} values, and {self.limits.cost} is the most: each field counts once for "
                "every row it is read of, and every criterion of a filter counts. Ask for smaller pages, or search for "
                "less at once.",
                errors.TOO_COSTLY,
                cost=min(cost, 10**15),
                limit=self.limits.cost,
            )
        return cost


class Documents:
    """The documents of one schema, least recently used ones forgotten: by number, and by their text's total length."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: DocumentLimits | None = None,
        *,
        capacity: int = 1_000,
        characters: int = 400_000,
    ) -> None:
        self._schema = schema
        self._limits = limits or DocumentLimits()
        self._inputs = InputLimits(schema, items=self._limits.items, objects=self._limits.inputs)
        self._unpaged = _unpaged(schema)
        self._capacity = capacity
        self._characters = characters
        self._held = 0
        self._known: OrderedDict[tuple[str, str | None], Document] = OrderedDict()

    def prepare(self, source: str, operation_name: str | None = None) -> Document:
        """The operation of that name (or the only one), valid and within the limits. Raises Refused."""
        key = (source, operation_name)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        document = self._read(source, operation_name)
        self._keep(key, document)
        return document

    def knows(self, source: str, operation_name: str | None) -> bool:
        return (source, operation_name) in self._known

    def _read(self, source: str, operation_name: str | None) -> Document:
        ast = self._parse(source)
        guard = Guard(ast, self._limits)
        if excess := guard.excess():
            raise refusal(str(excess), errors.TOO_COSTLY, limit=excess.limit, most=excess.most, found=excess.found)
        if found := validate(self._schema, ast, max_errors=MOST_ERRORS):
            raise Refused([_validation_error(error) for error in found])
        operation = _choose(guard.operations, operation_name)
        return Document(
            ast=ast,
            operation=operation,
            fragments=fragments_of(ast),
            limits=self._limits,
            inputs=self._inputs,
            unpaged=self._unpaged,
        )

    def _parse(self, source: str) -> DocumentNode:
        limits = self._limits
        if len(source) > limits.source_characters:
            most = limits.source_characters
            raise refusal(f"The document is longer than {most} characters.", errors.TOO_COSTLY, most=most)
        try:
            text = Source(source, "GraphQL request")
            ast = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
        except GraphQLError as error:
            code = errors.TOO_COSTLY if "Parsing aborted" in error.message else errors.PARSE_FAILED
            raise Refused([with_code(error, code)]) from None
        if "\\u" in source:
            visit(ast, _NoNul())
        _untie(ast)
        return ast

    def _keep(self, key: tuple[str, str | None], document: Document) -> None:
        self._known[key] = document
        self._held += len(key[0])
        while len(self._known) > self._capacity or self._held > self._characters:
            forgotten, _ = self._known.popitem(last=False)
            self._held -= len(forgotten[0])


def _untie(document: DocumentNode) -> None:
    """Let go of the chain of tokens, which nobody reads again: documents are then freed as soon as they are forgotten,
    and not in the pauses of the garbage collector."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following = token.next
        token.prev = token.next = None
        token = following


class _NoNul(Visitor):
    """Postgres keeps no U+0000 in text."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\0" in node.value:
            error = GraphQLError("A text holds the character U+0000, which no text here may hold.", nodes=node)
            raise Refused([with_code(error, errors.BAD_USER_INPUT)])


def _choose(operations: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    named = [node for node in operations if name is None or (node.name and node.name.value == name)]
    match named:
        case [operation]:
            return operation
        case [] if name is not None:
            raise refusal("The document has no operation of the name in operationName.", errors.OPERATION_UNKNOWN)
        case []:
            raise refusal("The document has no operation.", errors.OPERATION_UNKNOWN)
        case _:
            message = "The document has several operations: say in operationName which one to execute."
            raise refusal(message, errors.OPERATION_UNKNOWN)


def _validation_error(error: GraphQLError) -> GraphQLError:
    if isinstance(error, ValidationAbortedError) and not error.message.startswith("Too many"):
        return with_code(GraphQLError("The document's fields overlap too often to be checked."), errors.TOO_COSTLY)
    return with_code(error, errors.VALIDATION_FAILED)


def _unpaged(schema: GraphQLSchema) -> frozenset[str]:
    """The names of fields that are lists of objects and take no page size; `nodes` and `edges` are pages."""
    kinds = (kind for kind in schema.type_map.values() if is_object_type(kind) and not kind.name.startswith("__"))
    fields = ((name, each) for kind in kinds for name, each in kind.fields.items())
    lists = {name for name, each in fields if is_list_type(get_nullable_type(each.type)) and not _is_of_leaves(each)}
    return frozenset(lists - {"nodes", "edges"})


def _is_of_leaves(field: GraphQLField) -> bool:
    return is_leaf_type(get_named_type(field.type))


def _size(value: object) -> Hashable:
    """What of a variable the cost depends on: a number, or the length of a list."""
    return len(value) if isinstance(value, list) else value if isinstance(value, int) else None
