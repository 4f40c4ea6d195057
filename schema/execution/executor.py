"""How operations run: reads as compiled SQL, everything else as GraphQL's own execution with compiled reads in it.

A query is run straight from its plan, one look-up away once its document is known: one statement, whose JSON text is
the answer. Measured, that costs a third of the server's time of a request that passes through the executor, even
though that, too, only hands text on (docs/decisions/). Queries that ask for introspection, mutations and subscriptions
go through the executor.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar, cast

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLOutputType,
    GraphQLResolveInfo,
    create_source_event_stream,
    execute_subscription_event,
    is_non_null_type,
    map_source_to_response_event,
)
from graphql import Executor as CoreExecutor
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues, get_variable_values
from graphql.pyutils import Path
from orjson import Fragment
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db import queries
from db.concurrency import SHARED_READ_TTL
from db.errors import NotFound, Unavailable
from db.queries import Inputs, Misplaced, Plan, Select
from schema.context import Context
from schema.errors import BAD_USER_INPUT, Refused, with_code
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Document, Documents
from schema.execution.messages import Answer, Request
from schema.execution.plans import Plans
from schema.execution.translation import Translator, shape, symbols, variables_in
from schema.execution.worker_thread import WorkerThread
from schema.references import Reference, References

MAX_COERCION_ERRORS = 20
MANY_INPUTS = 500  # input objects; coercing them takes some milliseconds
MUCH = 20_000  # values; costly: few of them run at once
T = TypeVar("T")


class Root:
    """Stands for a root field of Query, which its plan answers."""


ROOT = Root()
Readable = Root | Reference | References | Fragment


class LabelgraphSchema(strawberry.Schema):
    """Declared in Strawberry, run as above. `documents` holds what is known of the documents seen so far."""

    def __init__(self, *, version: str, document_limits: DocumentLimits | None = None, **declared: Any) -> None:
        super().__init__(**declared)
        self.version = version
        limits = document_limits or DocumentLimits()
        self.page = limits.page
        self.documents = Documents(self._schema, limits)
        self.worker_thread = WorkerThread("labelgraph-schema")
        self.plans = Plans(self.worker_thread)
        assert self._schema.query_type is not None
        for field in self._schema.query_type.fields.values():
            field.resolve = lambda _source, _info, **_arguments: ROOT

    async def run(self, request: Request, context: Context) -> Answer | bytes:
        """Answers a query or mutation of a document that `documents` prepared."""
        if request.document.is_query and not introspects(request.document):
            return await self._read(request, context)
        executor = await self._coerced(request, lambda: Executor.build(**self._arguments(request, context)))
        if isinstance(executor, list):
            raise Refused([with_code(error, BAD_USER_INPUT) for error in executor])
        result = executor.execute_operation()
        return Answer.from_result(await cast(Awaitable[Any], result) if isawaitable(result) else result)

    async def _coerced(self, request: Request, work: Callable[[], T]) -> T:
        """Work that coerces the variables: in the worker thread where they are many."""
        return work() if request.inputs < MANY_INPUTS else await self.worker_thread.run(work)

    async def subscribe(self, request: Request, context: Context) -> AsyncGenerator[Answer, None]:  # type: ignore[override]
        """The answers of a subscription; one that is refused gives a single answer without data."""
        arguments = self._arguments(request, context)
        executor = Executor.build(**arguments)
        if isinstance(executor, list):
            yield Answer.from_result(ExecutionResult(None, executor))
            return
        started = create_source_event_stream(executor)
        events = await started if isawaitable(started) else started
        if isinstance(events, ExecutionResult):
            yield Answer.from_result(events)
            return
        shared = partial(_read_event, context, (request.document, orjson.dumps(request.variables), context.links))
        async with aclosing(map_source_to_response_event(executor, events, shared)) as results:
            async for result in results:
                yield Answer.from_result(result)

    async def _read(self, request: Request, context: Context) -> Answer | bytes:
        values = await self._coerced(request, lambda: coerced(self, request))
        try:
            key = (request.document, is_confined(context), shape(values.coerced))
            plan = await self.plans.get(key, lambda: self._plan(request, context, values))
            asked, costly = inputs(self.version, context, values), request.cost > MUCH
            json = await queries.read(context.database, plan, asked, costly=costly)
        except Misplaced as refused:
            return Answer(data=None, errors=[located(refused)])
        except NotFound as missing:  # something below a field that cannot be null
            return Answer(data=None, errors=[GraphQLError(missing.message, original_error=missing)])
        return b'{"data":%b}' % (json or "null").encode()

    def _plan(self, request: Request, context: Context, values: VariableValues) -> Plan:
        translator = Translator(self._schema, request.document, symbols(values))
        try:
            selects = translator.roots()
        except GraphQLError as error:  # a variable that is null where the argument must not be
            raise Refused([with_code(error, BAD_USER_INPUT)]) from error
        return queries.query(selects, confined=is_confined(context), page=self.page)

    def _arguments(self, request: Request, context: Context) -> dict[str, Any]:
        return {
            "schema": self._schema,
            "document": request.document.ast,
            "context_value": context,
            "raw_variable_values": dict(request.variables),
            "operation_name": request.document.name,
            "max_coercion_errors": MAX_COERCION_ERRORS,
            "prepared": request.document,
            "plans": self.plans,
            "version": self.version,
        }


async def _read_event(context: Context, asked: Hashable, executor: CoreExecutor[Any]) -> ExecutionResult:
    """What one event comes to: read once for all who asked the same of it."""

    async def read() -> ExecutionResult:
        result = execute_subscription_event(executor)
        return await result if isawaitable(result) else result

    key = (asked, context.identity, executor.root_value)
    return await context.events.reads.get(key, read, ttl=SHARED_READ_TTL)


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Compiles and reads what is below a reference; lets the JSON text through to the answer."""

    def __init__(self, *args: Any, prepared: Document, plans: Plans, version: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.prepared = prepared
        self.plans = plans
        self.version = version

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        if isinstance(result, Readable):
            return self._text(return_type, field_details_list, info, path, result)
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _text(
        self,
        return_type: GraphQLOutputType,
        details: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Readable,
    ) -> Any:
        if isinstance(result, Fragment):
            return result
        alias = str(path.key)

        nodes = tuple(each.node for each in details)

        def compiled() -> Plan:
            used = frozenset[str]().union(*(variables_in(self.prepared, node) for node in nodes))
            values = symbols(VariableValues(self.variable_values.sources, self._of(used)))
            selected = Translator(self.schema, self.prepared, values).of_field(info.parent_type, alias, details)
            return _compile(result, selected, is_confined(self.context_value), self.prepared.limits.page)

        return self._read(result, nodes, compiled, is_non_null_type(return_type))

    async def _read(
        self, result: Readable, nodes: tuple[FieldNode, ...], compiled: Callable[[], Plan], must_be: bool
    ) -> Fragment | None:
        context: Context = self.context_value
        values = self.variable_values
        referred = getattr(result, "number", None) or getattr(result, "numbers", None) or []
        try:
            plan = await self.plans.get(self._key(result, nodes), compiled)
            json = await queries.read(context.database, plan, inputs(self.version, context, values, referred))
        except Misplaced as refused:
            raise refused.cause from None
        except Unavailable as away:
            raise self._committed(away) from away
        if isinstance(result, Root) and json is not None:
            json = _only_value(json)
        if json is None or json == "null":
            if must_be:
                raise NotFound("It was deleted in the meantime.")
            return None
        return Fragment(json)

    def _committed(self, away: Unavailable) -> Unavailable:
        """The payload of a mutation is read after its commit: that it cannot be read undoes nothing."""
        if not self.prepared.is_mutation:
            return away
        return Unavailable(
            "It took effect, but what it changed cannot be read now: read it in a moment, or send the request again "
            "with its idempotency key."
        )

    def _key(self, result: Readable, nodes: tuple[FieldNode, ...]) -> Hashable:
        """What the plan depends on. A mutation's own arguments, new in every request, do not belong to it."""
        place = tuple(id(node) for node in nodes)  # as old as the document, which is part of the key
        if place not in self.prepared.plans:
            below = [node if isinstance(result, Root) else node.selection_set for node in nodes]
            used = (variables_in(self.prepared, each) for each in below if each)
            self.prepared.plans[place] = frozenset[str]().union(*used)
        kind = (type(result), getattr(result, "type", None))
        given = self._of(self.prepared.plans[place])
        return (self.prepared, place, kind, is_confined(self.context_value), shape(given))

    def _of(self, used: frozenset[str]) -> dict[str, Any]:
        """These variables. Others may be huge."""
        return {name: value for name, value in self.variable_values.coerced.items() if name in used}


def _compile(result: Readable, selected: Select, confined: bool, page: int) -> Plan:
    match result:
        case Reference():
            return queries.reference(result.type, selected.fields[result.type], confined=confined, page=page)
        case References():
            return queries.references(result.type, selected.fields[result.type], confined=confined, page=page)
    return queries.query([selected], confined=confined, page=page)


def _only_value(json: str) -> str:
    """Of an object with one key: the key is a GraphQL name, so the first colon ends it."""
    return json[json.index(":") + 1 : -1]


def coerced(schema: LabelgraphSchema, request: Request) -> VariableValues:
    """The variables in the types that the operation declares. Raises Refused."""
    definitions = request.document.operation.variable_definitions or ()
    values = get_variable_values(schema._schema, definitions, dict(request.variables), MAX_COERCION_ERRORS)
    if isinstance(values, list):
        raise Refused([with_code(error, BAD_USER_INPUT) for error in values])
    return values


def inputs(version: str, context: Context, values: VariableValues, referred: Any = None) -> Inputs:
    variables = values.coerced if referred is None else {**values.coerced, queries.REFERENCE: referred}
    return Inputs(
        variables=variables, identity=context.identity, links=context.links, limits=context.limits, version=version
    )


def is_confined(context: Context) -> bool:
    return context.identity.dataset_ids is not None


def introspects(document: Document) -> bool:
    """Whether the operation asks for the schema itself, at its root."""
    if "introspects" not in document.plans:
        document.plans["introspects"] = _asks(document, document.operation.selection_set.selections)
    found: bool = document.plans["introspects"]
    return found


def _asks(document: Document, selections: Sequence[Any]) -> bool:
    for node in selections:
        if node.kind == "fragment_spread":
            if _asks(document, document.fragments[node.name.value].selection_set.selections):
                return True
        elif node.kind == "inline_fragment":
            if _asks(document, node.selection_set.selections):
                return True
        elif node.name.value in ("__schema", "__type"):
            return True
    return False


def located(refused: Misplaced) -> GraphQLError:
    return GraphQLError(refused.cause.message, path=list(refused.path), original_error=refused.cause)
