"""Documents: parsed, measured and validated once, then looked up by their text."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
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
from schema.execution.cost import Cost, length
from schema.execution.document_limits import DocumentLimits, DocumentMeasure, Fragments, fragments_of
from schema.execution.lru_cache import LruCache
from schema.inputs.limits import InputLimits, InputSize

# Comparing fields for overlap is quadratic: 2.3 s for 11 KB by default. The library takes its limit from here only.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 20_000

MAX_ERRORS = 20
MAX_COSTS = 64  # of one document, by the sizes of its variables


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One operation of a valid document. The same text and operation name return the same object while it is cached.

    `plans` is for the executor: what it compiled for this operation, by the shape of the variables; it is dropped with
    the document.
    """

    source: str
    ast: DocumentNode
    operation: OperationDefinitionNode
    fragments: Fragments
    limits: DocumentLimits
    inputs: InputLimits
    unpaged: frozenset[str] = frozenset()
    plans: dict[Hashable, Any] = field(default_factory=dict)
    _cost: Cost = field(init=False)
    _page_variables: tuple[str, ...] = field(init=False)
    _costs: dict[Hashable, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        cost = Cost(self.operation, self.fragments, self.unpaged, self.limits.page)
        object.__setattr__(self, "_cost", cost)
        object.__setattr__(self, "_page_variables", cost.variables())

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

    def input_sizes(self, variables: Mapping[str, Any]) -> Mapping[str, InputSize]:
        """The sizes of the variables that are objects or lists. Raises Refused where one is too large."""
        return self.inputs.measure(self.operation, variables)

    def cost(self, variables: Mapping[str, Any], input_sizes: Mapping[str, InputSize] | None = None) -> int:
        """How many values the answer may contain, and what its filters cost. Raises Refused above the limit. Cached by
        the page sizes and by the sizes of filters."""
        sizes = self.input_sizes(variables) if input_sizes is None else input_sizes
        filters = tuple((name, size) for name, size in sizes.items() if size.criteria)
        key = (tuple(length(variables.get(name)) for name in self._page_variables), filters)
        if key not in self._costs:
            if len(self._costs) >= MAX_COSTS:
                self._costs.clear()
            self._costs[key] = self._cost.count(variables, sizes)
        cost = self._costs[key]
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
    """The documents of one schema, least recently used ones dropped: by number, and by their texts' total length."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: DocumentLimits | None = None,
        *,
        capacity: int = 1_000,
        characters: int = 200_000,
    ) -> None:
        self._schema = schema
        self._limits = limits or DocumentLimits()
        self._inputs = InputLimits(schema, items=self._limits.items, objects=self._limits.inputs)
        self._unpaged = unpaged_fields(schema)
        self._cache = LruCache[Document](lambda document: len(document.source), max_size=characters, max_items=capacity)

    def prepare(self, source: str, operation_name: str | None = None) -> Document:
        """The operation of that name (or the only one), valid and within the limits. Raises Refused."""
        document = self._cache.get((source, operation_name))
        if document is None:
            document = self._validated(source, operation_name)
            self._cache.add((source, operation_name), document)
        return document

    def knows(self, source: str, operation_name: str | None) -> bool:
        return (source, operation_name) in self._cache

    def _validated(self, source: str, operation_name: str | None) -> Document:
        ast = self._parse(source)
        measure = DocumentMeasure(ast, self._limits)
        if excess := measure.excess():
            details = {"limit": excess.limit, "most": excess.allowed, "found": excess.actual}
            raise refusal(str(excess), errors.TOO_COSTLY, **details)
        if invalid := validate(self._schema, ast, max_errors=MAX_ERRORS):
            raise Refused([with_validation_code(error) for error in invalid])
        return Document(
            source=source,
            ast=ast,
            operation=select_operation(measure.operations, operation_name),
            fragments=fragments_of(ast),
            limits=self._limits,
            inputs=self._inputs,
            unpaged=self._unpaged,
        )

    def _parse(self, source: str) -> DocumentNode:
        limits = self._limits
        if len(source) > limits.source_characters:
            limit = limits.source_characters
            raise refusal(f"The document is longer than {limit} characters.", errors.TOO_COSTLY, most=limit)
        try:
            text = Source(source, "GraphQL request")
            ast = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
        except GraphQLError as error:
            code = errors.TOO_COSTLY if "Parsing aborted" in error.message else errors.PARSE_FAILED
            raise Refused([with_code(error, code)]) from None
        if "\\u" in source:
            visit(ast, RefuseNul())
        unlink_tokens(ast)
        return ast


def unlink_tokens(document: DocumentNode) -> None:
    """Cut the chain of tokens, which nobody reads again: documents are then freed as soon as they are dropped, not in
    the pauses of the garbage collector."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following = token.next
        token.prev = token.next = None
        token = following


class RefuseNul(Visitor):
    """Postgres stores no U+0000 in text."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\0" in node.value:
            error = GraphQLError("A text contains the character U+0000, which no text here may contain.", nodes=node)
            raise Refused([with_code(error, errors.BAD_USER_INPUT)])


def select_operation(operations: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    match [node for node in operations if name is None or (node.name and node.name.value == name)]:
        case [operation]:
            return operation
        case [] if name is not None:
            message = "The document has no operation of the name in operationName."
        case []:
            message = "The document has no operation."
        case _:
            message = "The document has several operations: say in operationName which one to execute."
    raise refusal(message, errors.OPERATION_UNKNOWN)


def with_validation_code(error: GraphQLError) -> GraphQLError:
    if isinstance(error, ValidationAbortedError) and not error.message.startswith("Too many"):
        return with_code(GraphQLError("The document's fields overlap too often to be checked."), errors.TOO_COSTLY)
    return with_code(error, errors.VALIDATION_FAILED)


def unpaged_fields(schema: GraphQLSchema) -> frozenset[str]:
    """The names of fields that are lists of objects and take no page size; `nodes` and `edges` are pages."""
    return frozenset(
        name
        for type_ in schema.type_map.values()
        if is_object_type(type_) and not type_.name.startswith("__")
        for name, field in type_.fields.items()
        if is_list_type(get_nullable_type(field.type)) and not is_leaf_type(get_named_type(field.type))
    ) - {"nodes", "edges"}
