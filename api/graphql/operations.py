"""From a request's parameters to its answers: the same steps for every transport."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from graphql import GraphQLError

from api.graphql.mutations import Begin
from api.graphql.parameters import Parameters
from api.runtime import Runtime
from db.errors import TEMPORARY, DomainError
from db.history import idempotency
from db.identity.tokens import Identity
from db.postgres.outages import NO_ANSWER, DatabaseUnavailable, explain_to_client
from schema.context import Context
from schema.errors import TOO_COSTLY, UNAVAILABLE, Refused, error_code, log_defect, with_code
from schema.execution.documents import Document
from schema.execution.messages import Answer, Request, encode
from schema.inputs.limits import InputSizes
from schema.permissions import forbidden_fields


def build_request(process: Runtime, params: Parameters, identity: Identity) -> Request:
    """The operation that the parameters name: valid, and within its cost. Raises Refused."""
    document = find_document(process, params, identity)
    return request_of(document, params, identity, document.input_sizes(params.variables))


async def build_large_request(process: Runtime, params: Parameters, identity: Identity) -> Request:
    """The same; large variables are measured in the background."""
    document = find_document(process, params, identity)
    return request_of(
        document, params, identity, await process.bodies.run(lambda: document.input_sizes(params.variables))
    )


def find_document(process: Runtime, params: Parameters, identity: Identity) -> Document:
    document = process.schema.documents.prepare(process.persisted_queries.source(params), params.operation_name)
    process.persisted_queries.add(params, identity.token_id)
    return document


def request_of(document: Document, params: Parameters, identity: Identity, sizes: InputSizes) -> Request:
    cost = document.cost(params.variables, sizes)
    return Request(
        document=document,
        variables=params.variables,
        extensions=params.extensions,
        input_objects=sizes.objects,
        cost=cost,
        forbidden=forbidden_fields(document, identity, params.variables),
    )


async def read_request(process: Runtime, params: Parameters, identity: Identity) -> Request:
    """The same, within the token's read rate. A document that is new takes a while to read."""
    rate, key, source = process.read_rate, identity.token_id, process.persisted_queries.source(params)
    if process.schema.documents.knows(source, params.operation_name) and rate.wait_seconds(key) <= 0:
        with rate.measure(key):
            return build_request(process, params, identity)
    async with rate.limit(key):
        return build_request(process, params, identity)


async def execute(process: Runtime, request: Request, context: Context) -> Answer | bytes:
    """Runs a query or mutation. Whatever is raised becomes an answer, so that no trace leaves. When this is canceled a
    query stops, and a mutation that has begun does not."""
    if request.document.is_mutation:
        answer = await process.mutations.run(lambda begin: _mutate(process, request, context, begin))
    else:
        answer = await _observe(process, request, context)
    return _with_cost(request, answer)


async def _mutate(process: Runtime, request: Request, context: Context, begin: Begin) -> Answer | bytes:
    answer = await _observe(process, request, context, begin)
    await context.database.advance_position()
    return answer


async def _observe(process: Runtime, request: Request, context: Context, begin: Begin | None = None) -> Answer | bytes:
    with process.observer.operation(request.document, context.identity.token_id) as observed:
        answer = await _execute(process, request, context, begin)
        observed.answered(answer)
        return answer


def _with_cost(request: Request, answer: Answer | bytes) -> Answer | bytes:
    """With `extensions.cost`, if the request asks for it."""
    if request.extensions.get("cost") is not True:
        return answer
    extensions = {"cost": {"requested": request.cost, "limit": request.document.limits.cost}}
    if isinstance(answer, Answer):
        return answer if answer.refused else replace(answer, extensions=extensions)
    return b'%b,"extensions":%b}' % (answer.removesuffix(b"}"), encode(extensions))


async def _execute(process: Runtime, request: Request, context: Context, begin: Begin | None = None) -> Answer | bytes:
    """Within the deadline of the operation."""
    timeouts = process.settings.timeouts
    seconds = timeouts.mutation if request.document.is_mutation else timeouts.query
    began = asyncio.get_running_loop().time()
    deadline = asyncio.timeout_at(began + seconds)
    try:
        key = (context.identity.token_id, request.document.is_mutation)
        async with deadline, process.operations.slot(key) as slot:
            if begin is not None:
                begin()
            if request.document.is_mutation:  # a large change moves its deadline, and who waits leaves its slot
                context = replace(context, database=replace(context.database, deadline=deadline, slot=slot))
            if request.document.is_mutation and context.idempotency_key:
                return await _execute_once(process, request, context, context.idempotency_key)
            return await process.schema.run(request, context)
    except TimeoutError as error:
        if not deadline.expired():
            return failure(error)
        return await _timed_out(process, (deadline.when() or began) - began, request, context)
    except Exception as error:
        return failure(error)


async def _timed_out(process: Runtime, seconds: float, request: Request, context: Context) -> Answer:
    """Why the deadline passed: there was too much to do, or the database said nothing."""
    if not await process.database.probe.answers():
        message, code = NO_ANSWER, UNAVAILABLE
    else:
        message = f"The operation took longer than {seconds:g} seconds and was stopped. Ask for less at once."
        code = TOO_COSTLY
    if request.document.is_mutation and context.idempotency_key:
        message += " Sent again with the same idempotency key, it takes effect once."
    elif request.document.is_mutation:
        message += " Look whether it took effect before you send it again."
    return Answer(errors=[with_code(GraphQLError(message), code)])


async def _execute_once(process: Runtime, request: Request, context: Context, key: str) -> Answer | bytes:
    """The answer that this request was given before; or else a new one, which is kept if it is final."""
    request_key = (context.database, context.identity.token_id, key, context.request_hash)
    earlier = await idempotency.find_answer(*request_key)
    if earlier is not None:
        return earlier
    answer = await process.schema.run(request, context)
    if not isinstance(answer, Answer):
        return await idempotency.store_answer(*request_key, answer)
    if answer.refused or context.unfinished or TEMPORARY & {error_code(error) for error in answer.errors}:
        return answer
    text = answer.encode()
    try:
        return await idempotency.store_answer(*request_key, text)
    except DatabaseUnavailable:  # what was done is committed, and known: a repetition builds the answer again
        return text


async def answers(process: Runtime, request: Request, context: Context) -> AsyncGenerator[Answer | bytes, None]:
    """Every answer of the operation: one, unless it is a subscription."""
    if not request.document.is_subscription:
        yield await execute(process, request, context)
        return
    with process.observer.operation(request.document, context.identity.token_id) as observed:
        try:
            async with aclosing(process.schema.subscribe(request, context)) as events:
                async for answer in events:
                    await process.events.throttle.wait()
                    await context.database.advance_position()  # whoever reads because of an event sees what it is about
                    observed.answered(answer)
                    yield _with_cost(request, answer)
        except Exception as error:
            answer = failure(error)
            observed.answered(answer)
            yield answer


def failure(error: Exception) -> Answer:
    """The answer to an error: a refusal as such; anything else is a defect, logged under a reference."""
    match explain_to_client(error) or error:
        case Refused() as refused:
            return Answer(errors=refused.errors)
        case DomainError() as refusal:
            return Answer(errors=[GraphQLError(refusal.message, original_error=refusal)])
        case _:
            public = log_defect(error)
            return Answer(errors=[GraphQLError(public["message"], extensions=public["extensions"])])
