"""A small schema behind the real transports, which are tested whatever the schema."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLResolveInfo, build_schema, execute, print_schema, subscribe

from db.errors import Conflict
from schema.context import Context
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Documents
from schema.execution.messages import Answer, Request
from schema.execution.plans import Plans
from schema.execution.schema import LabelgraphSchema
from schema.execution.worker_thread import WorkerThread

Info = GraphQLResolveInfo[Context]

SDL = """
scalar Raw
type Query { hello(name: String = "world"): String!  who: String!  key: String  slow(seconds: Float!): String
             broken: String  refused: String  raw: Raw  tree: Tree  page(first: Int): Page!  limit(n: Int!): Int! }
type Tree { leaf: String  tree: Tree }
type Page { nodes: [Tree!]!  totalCount: Int! }
type Mutation { labelSamples: String  deleteDataset: String  count: Int!  failOnce: String
                overdue: String }
type Subscription { counter(to: Int!, seconds: Float = 0): Int!  broken: Int!  forever: Int! }
"""


class Query:
    def __init__(self, toy: "ToySchema") -> None:
        self.toy, self.counted = toy, toy.counted

    def count(self, info: Info) -> int:
        """How often this was executed, on this server."""
        return next(self.counted)

    def failOnce(self, info: Info) -> str:  # noqa: N802
        if next(self.counted) % 2:
            raise RuntimeError("hunter2")
        return "well"

    async def overdue(self, info: Info) -> None:
        """Moves the deadline of its operation to now."""
        deadline = info.context.database.deadline
        assert deadline is not None
        deadline.reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()

    def hello(self, info: Info, name: str) -> str:
        return f"hello {name}"

    def who(self, info: Info) -> str:
        return info.context.identity.name

    def key(self, info: Info) -> str | None:
        return info.context.idempotency_key

    async def slow(self, info: Info, seconds: float) -> str:
        self.toy.slow += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(self.toy.end.wait(), seconds)
        return "done"

    def broken(self, info: Info) -> str:
        raise RuntimeError("hunter2 at postgresql://secret")

    def refused(self, info: Info) -> str:
        raise Conflict("Somebody else was first.", revision=7)

    def raw(self, info: Info) -> orjson.Fragment:
        return orjson.Fragment(b'{"ready":"text"}')

    def tree(self, info: Info) -> dict[str, Any]:
        return {"leaf": "green", "tree": None}

    def page(self, info: Info, first: int | None = None) -> dict[str, Any]:
        return {"nodes": [], "totalCount": 0}

    def limit(self, info: Info, n: int) -> int:
        return n

    def labelSamples(self, info: Info) -> str:  # noqa: N802
        return "labelled"

    def deleteDataset(self, info: Info) -> str:  # noqa: N802
        return "deleted"


class Subscription:
    async def counter(self, _: object, info: Info, to: int, seconds: float) -> AsyncIterator[dict[str, int]]:
        for number in range(1, to + 1):
            await asyncio.sleep(seconds)
            yield {"counter": number}

    async def broken(self, _: object, info: Info) -> AsyncIterator[dict[str, int]]:
        yield {"broken": 1}
        raise RuntimeError("hunter2")

    async def forever(self, _: object, info: Info) -> AsyncIterator[dict[str, int]]:
        number = 0
        while True:
            number += 1
            yield {"forever": number}
            await asyncio.sleep(0.05)


def permitted(request: Request) -> Callable[..., Any]:
    """Resolves the fields that the request may have."""

    def resolve(resolve_next: Callable[..., Any], source: Any, info: Info, **arguments: Any) -> Any:
        if info.path.prev is None and (error := request.forbidden.get(str(info.path.key))) is not None:
            raise error
        return resolve_next(source, info, **arguments)

    return resolve


class ToySchema(LabelgraphSchema):
    """Has what the transports use of a schema, and none of its fields."""

    def __init__(self, limits: DocumentLimits | None = None) -> None:
        self.graphql = build_schema(SDL)
        self.documents = Documents(self.graphql, limits)
        self.plans = Plans(WorkerThread("toy"))
        self.counted = itertools.count(1)
        self.slow = 0  # operations that were begun
        self.end = asyncio.Event()  # of slow operations
        assert self.graphql.subscription_type is not None
        for name, field in self.graphql.subscription_type.fields.items():
            field.subscribe = getattr(Subscription(), name)

    async def run(self, request: Request, context: Context) -> Answer:
        result = execute(
            self.graphql,
            request.document.ast,
            root_value=Query(self),
            context_value=context,
            variable_values=dict(request.variables),
            operation_name=request.document.name,
            middleware=[permitted(request)],
        )
        return Answer.from_result(result if isinstance(result, ExecutionResult) else await result)

    async def subscribe(self, request: Request, context: Context) -> AsyncGenerator[Answer, None]:  # type: ignore[override]
        source = subscribe(
            self.graphql,
            request.document.ast,
            context_value=context,
            variable_values=dict(request.variables),
            operation_name=request.document.name,
        )
        events = await source if isawaitable(source) else source
        if isinstance(events, ExecutionResult):
            yield Answer.from_result(events)
            return
        async for event in events:
            yield Answer.from_result(event)

    def as_str(self) -> str:
        return print_schema(self.graphql)
