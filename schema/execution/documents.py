"""Documents: parsed, measured and validated once, then looked up by their text."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Source,
    TokenKind,
    TypeNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    parse,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from schema import errors
from schema.errors import Refused, refusal, with_code
from schema.execution.cost import Cost, length
from schema.execution.document_limits import DocumentLimits, DocumentMeasure, Fragments
from schema.execution.lru_cache import LruCache
from schema.inputs.limits import InputLimits, InputSizes

# Comparing fields for overlap is quadratic: 2.3 s for 11 KB by default. The library takes its limit from here only.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 20_000

MAX_ERRORS = 20
MAX_COSTS = 64  # of one document, by the sizes of its variables


@dataclass(frozen=True, eq=False)
class Document:
    """One operation of a valid document. The same text and operation name return the same object while it is cached.

    `plan_variables` is for the executor: the variables that each of its plans depends on.
    """

    source: str
    ast: DocumentNode
    operation: OperationDefinitionNode
    fragments: Fragments
    limits: DocumentLimits
    inputs: InputLimits
    unpaged: frozenset[str] = frozenset()
    plan_variables: dict[Hashable, frozenset[str]] = field(default_factory=dict)
    _costs: dict[Hashable, int] = field(default_factory=dict, init=False)

    @cached_property
    def name(self) -> str | None:
        return self.operation.name.value if self.operation.name else None

    @cached_property
    def is_query(self) -> bool:
        return self.operation.operation is OperationType.QUERY

    @cached_property
    def is_mutation(self) -> bool:
        return self.operation.operation is OperationType.MUTATION

    @cached_property
    def is_subscription(self) -> bool:
        return self.operation.operation is OperationType.SUBSCRIPTION

    @cached_property
    def root_fields(self) -> tuple[FieldNode, ...]:
        """The fields of the operation itself, fragments expanded."""
        return tuple(self._fields(self.operation.selection_set))

    @cached_property
    def _counted(self) -> Mapping[str, object]:
        """The variables that may be the size of a page or a list, with their defaults."""
        return {
            node.variable.name.value: node.default_value
            for node in self.operation.variable_definitions or ()
            if not _is_text(node.type)
        }

    @cached_property
    def introspects(self) -> bool:
        """Whether it reads the schema itself."""
        return any(node.name.value in ("__schema", "__type") for node in self.root_fields)

    def _fields(self, selected: SelectionSetNode) -> Iterator[FieldNode]:
        for node in selected.selections:
            match node:
                case FieldNode():
                    yield node
                case FragmentSpreadNode():
                    yield from self._fields(self.fragments[node.name.value].selection_set)
                case InlineFragmentNode():
                    yield from self._fields(node.selection_set)

    def input_sizes(self, variables: Mapping[str, Any]) -> InputSizes:
        """How large the variables are. Raises Refused where one is too large."""
        return self.inputs.measure(self.operation, variables)

    def cost(self, variables: Mapping[str, Any], input_sizes: InputSizes | None = None) -> int:
        """How many values the answer may contain, and what its filters cost. Raises Refused above the limit. Cached by
        the page sizes and by the costs of filters."""
        filters = (input_sizes or self.input_sizes(variables)).filters
        lengths = {name: length(variables.get(name, default)) for name, default in self._counted.items()}
        key = (tuple(lengths.values()), tuple(filters.items()))
        if key not in self._costs:
            if len(self._costs) >= MAX_COSTS:
                self._costs.clear()
            cost_of = Cost(self.fragments, self.unpaged, self.limits.page, lengths, filters)
            self._costs[key] = cost_of.count(self.operation.selection_set)
        cost = self._costs[key]
        if cost > self.limits.cost:
            raise refusal(
                f"The operation costs {cost} values, and at most {self.limits.cost} are allowed: each field counts "
                "once for each of its rows; conditions of filters and facets count, too. Request smaller pages, or use "
                "fewer conditions and facets.",
                errors.TOO_COSTLY,
                cost=min(cost, 10**15),
                limit=self.limits.cost,
            )
        return cost


def _is_text(type_: TypeNode) -> bool:
    named = type_.type if isinstance(type_, NonNullTypeNode) else type_
    return isinstance(named, NamedTypeNode) and named.name.value in ("ID", "String")


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
        self.hits = self.misses = 0
        self._cache = LruCache[Document](lambda document: len(document.source), max_size=characters, max_items=capacity)

    def prepare(self, source: str, operation_name: str | None = None) -> Document:
        """The operation of that name (or the only one), valid and within the limits. Raises Refused."""
        known = self.find(source, operation_name)
        if known is not None:
            return known
        self.misses += 1
        ast = self._parse(source)
        measure = DocumentMeasure(ast, self._limits)
        measure.check()
        if invalid := validate(self._schema, ast, max_errors=MAX_ERRORS):
            raise Refused([with_validation_code(error) for error in invalid])
        document = Document(
            source=source,
            ast=ast,
            operation=select_operation(measure.operations, operation_name),
            fragments=measure.fragments,
            limits=self._limits,
            inputs=self._inputs,
            unpaged=self._unpaged,
        )
        self._cache.add((source, operation_name), document)
        return document

    def find(self, source: str, operation_name: str | None) -> Document | None:
        """One that was prepared and is not dropped yet."""
        known = self._cache.get((source, operation_name))
        if known is not None:
            self.hits += 1
        return known

    def knows(self, source: str, operation_name: str | None) -> bool:
        return (source, operation_name) in self._cache

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
        token = ast.loc.start_token if ast.loc else None
        while token is not None:
            if token.kind in (TokenKind.STRING, TokenKind.BLOCK_STRING) and "\0" in str(token.value):
                message = "A text contains the character U+0000, which no text here may contain."  # nor in Postgres
                located = GraphQLError(message, source=text, positions=[token.start])
                raise Refused([with_code(located, errors.BAD_USER_INPUT)])
            # Without the chain of tokens, documents are freed as soon as they are dropped, not in the pauses of the
            # garbage collector.
            following, token.prev, token.next = token.next, None, None
            token = following
        return ast


def select_operation(operations: list[OperationDefinitionNode], name: str | None) -> OperationDefinitionNode:
    match [node for node in operations if name is None or (node.name and node.name.value == name)]:
        case [operation]:
            return operation
        case [] if name is not None:
            message = "The document has no operation with the name in operationName."
        case []:
            message = "The document has no operation."
        case _:
            message = "The document has several operations: give the name of one in operationName."
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
