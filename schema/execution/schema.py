"""How operations run: reads as compiled SQL, everything else as GraphQL's own execution with compiled reads in it.

A query runs straight from its plan, one look-up away once its document is known: one statement, whose JSON text is the
answer. Measured, that costs a third of the server's time of a request that passes through the executor, even though
that, too, only hands text on (docs/decisions/). Queries of the schema itself, mutations and subscriptions go through
the executor.
"""

import asyncio
from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from typing import Any, Final, cast

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    create_source_event_stream,
    default_field_resolver,
    default_type_resolver,
    execute_subscription_event,
)
from graphql import Executor as CoreExecutor
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from graphql.utilities.print_schema import print_schema_definition

from db import queries
from db.concurrency_limits import SHARED_READ_TTL
from db.errors import NotFound
from db.queries import ArgumentError, SelectedField
from schema.context import Context
from schema.errors import BAD_USER_INPUT, UNAVAILABLE, Refused, error_code, with_code
from schema.execution.conventions import apply_conventions
from schema.execution.declarations import check_declarations
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Documents
from schema.execution.executor import ROOT, Executor, inputs
from schema.execution.messages import Answer, Request
from schema.execution.partial_answers import partial_answer
from schema.execution.plans import Plans
from schema.execution.translation import Translator, placeholders, shape, variables_in
from schema.execution.variables import VariableCoercion
from schema.execution.worker_thread import WorkerThread
from schema.references import Resumable

MANY_INPUTS = 500  # input objects; coercing them takes some milliseconds
RETRY: Final = 1.0  # seconds before an event is read again, where the database was away
COSTLY = 20_000  # values; queries that cost more wait for their turn


class LabelgraphSchema(strawberry.Schema):
    """Declared in Strawberry, run as above. `documents` caches the documents seen so far."""

    def __init__(
        self, *, version: str, description: str, document_limits: DocumentLimits | None = None, **declared: Any
    ) -> None:
        super().__init__(**declared)
        self._schema.description = description
        apply_conventions(self._schema)
        check_declarations(self._schema, queries.TYPES)
        self.version = version
        self.documents = Documents(self._schema, document_limits)
        self.worker_thread = WorkerThread("labelgraph-schema")
        self.plans = Plans(self.worker_thread)
        self._variables = VariableCoercion(self._schema)
        assert self._schema.query_type is not None
        for field in self._schema.query_type.fields.values():
            field.resolve = lambda _source, _info, **_arguments: ROOT

    def as_str(self) -> str:
        """The schema in GraphQL's own language. Strawberry prints no description of a schema."""
        return f"{print_schema_definition(self._schema)}\n\n{super().as_str()}"

    async def run(self, request: Request, context: Context) -> Answer | bytes:
        """Answers a query or mutation of a document that `documents` prepared."""
        if request.document.is_query and not request.document.introspects:
            return await self._read(request, context)
        executor = self._executor(request, context, await self._coerce(request))
        result = executor.execute_operation()
        return Answer.from_result(await result if isawaitable(result) else result)

    async def subscribe(self, request: Request, context: Context) -> AsyncGenerator[Answer, None]:  # type: ignore[override]
        """The answers of a subscription. Raises Refused, or has a single answer without data, where it is refused."""
        executor = self._executor(request, context, await self._coerce(request))
        stream = create_source_event_stream(executor)
        events = await stream if isawaitable(stream) else stream
        if isinstance(events, ExecutionResult):
            yield Answer.from_result(events)
            return
        # The field's own arguments select events, and do not change how one is read.
        nodes = filter(None, (node.selection_set for node in request.document.root_fields))
        used = variables_in(request.document, nodes)
        variables = {name: value for name, value in request.variables.items() if name in used}
        request_key = (request.document, orjson.dumps(variables), context.links)
        async with aclosing(cast(AsyncGenerator[Any, None], events)) as source:
            async for event in source:
                yield await _read_event(executor, context, request_key, event)

    async def _coerce(self, request: Request) -> VariableValues:
        """The variables, coerced: in the worker thread where they are many. Raises Refused."""
        document, raw = request.document, request.variables
        if request.input_objects < MANY_INPUTS:
            coerced = self._variables.coerce_few(document, raw)
        else:
            coerced = await self.worker_thread.run(lambda: self._variables.coerce_many(document.operation, raw))
        if isinstance(coerced, list):
            raise Refused([with_code(error, BAD_USER_INPUT) for error in coerced])
        return coerced

    async def _read(self, request: Request, context: Context) -> Answer | bytes:
        values = await self._coerce(request)
        try:
            json = await self._read_fields(request, context, values)
        except (ArgumentError, NotFound) as error:
            fields = self._root_fields(request, values)
            return await partial_answer(fields, error, partial(self._read_fields, request, context, values))
        return b'{"data":%b}' % json.encode()

    async def _read_fields(
        self,
        request: Request,
        context: Context,
        values: VariableValues,
        key: Hashable = (),
        fields: tuple[SelectedField, ...] | None = None,
    ) -> str:
        """The JSON of the operation's fields; or of those under this key."""
        confined = context.identity.dataset_ids is not None  # the token sees some datasets only
        page = request.document.limits.page
        plan = await self.plans.get(
            context.identity,
            (request.document, confined, shape(values.coerced), key),
            lambda: queries.compile_query(
                self._root_fields(request, values) if fields is None else fields, confined=confined, page=page
            ),
        )
        plan_inputs = inputs(self.version, context, values.coerced)
        return await queries.read(context.database, plan, plan_inputs, costly=request.cost > COSTLY) or "null"

    def _root_fields(self, request: Request, values: VariableValues) -> tuple[SelectedField, ...]:
        try:
            return Translator(self._schema, request.document, placeholders(values)).root_fields()
        except GraphQLError as error:  # a variable that is null where the argument must not be
            raise Refused([with_code(error, BAD_USER_INPUT)]) from error

    def _executor(self, request: Request, context: Context, variables: VariableValues) -> Executor:
        document = request.document
        return Executor(
            schema=self._schema,
            fragment_definitions=dict(document.fragments),
            fragments={name: FragmentDetails(node) for name, node in document.fragments.items()},
            root_value=None,
            context_value=context,
            operation=document.operation,
            variable_values=variables,
            field_resolver=default_field_resolver,
            type_resolver=default_type_resolver,
            subscribe_field_resolver=default_field_resolver,
            prepared=document,
            plans=self.plans,
            version=self.version,
            forbidden=request.forbidden,
        )


async def _read_event(
    executor: CoreExecutor[Any], context: Context, request_key: Hashable, event: Resumable | Any
) -> Answer:
    """The answer of one event: read once for all subscriptions of a token with the same request. One that nobody may
    miss is read again as long as the database is away."""
    value, cursor = (event.value, event.cursor) if isinstance(event, Resumable) else (event, None)

    async def read() -> ExecutionResult:
        result = execute_subscription_event(executor.build_per_event_executor(value))
        return await result if isawaitable(result) else result

    while True:
        result = await context.events.reads.get(context.identity, (request_key, event), read, ttl=SHARED_READ_TTL)
        if cursor is None or UNAVAILABLE not in {error_code(error) for error in result.errors or ()}:
            return Answer.from_result(result, cursor)
        await asyncio.sleep(RETRY)
