"""Clients for tests: over HTTP to a real uvicorn, or directly of the schema."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import httpx2
import orjson
import uvicorn

from api.app import create_app
from api.configuration import allowed_models
from api.process import Server
from api.server_configuration import call_limits, document_limits, server_options
from api.settings import Settings
from db.identity import tokens
from db.identity.tokens import Identity, Scope
from db.identity.urls import Signer
from db.jobs.events import Events
from db.postgres.engine import Database
from db.storage import Disks, Stores
from db.storage.locations import AllowedLocations
from schema import build_schema
from schema.context import Context
from schema.errors import Refused
from schema.execution.messages import Answer, Request
from schema.execution.schema import LabelgraphSchema
from schema.permissions import forbidden_fields
from tests.waiting import TIMEOUT

NAMES = count()
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the certificates of the world takes longer than a request


class Failed(AssertionError):
    """An answer with errors where a test expected none. `errors` as the client sees them."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(json.dumps(errors, ensure_ascii=False, indent=1))
        self.errors = errors

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


schema_within = cache(build_schema)  # made once for each limits: that, and to validate documents, takes long


@asynccontextmanager
async def serving(settings: Settings, schema: LabelgraphSchema | None = None) -> AsyncIterator[str]:
    """The URL of a server with these settings, for as long as the block takes."""
    app = create_app(settings, schema or schema_within(document_limits(settings.limits)))
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, access_log=False, **server_options(settings))
    server = Server(config)
    task = asyncio.create_task(server.serve())
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait([task, listening], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield server.url
    finally:
        server.should_exit = True
        listening.cancel()
        await task


async def token(
    database: Database,
    scope: Scope = Scope.MANAGE,
    *,
    name: str | None = None,
    dataset_ids: Iterable[int] | None = None,
) -> str:
    async with database.writing() as session:
        name = name or f"somebody {next(NAMES)}"
        return await tokens.create(session, name=name, scope=scope, dataset_ids=dataset_ids)


@dataclass(frozen=True, slots=True)
class Client:
    """GraphQL over HTTP, with a token."""

    url: str
    token: str | None = None
    timeout: float = TIMEOUT

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    async def request(self, method: str = "POST", path: str = "/graphql", **more: Any) -> httpx2.Response:
        """Any request; `headers` given here go over the token's."""
        more["headers"] = self.headers | more.get("headers", {})
        async with httpx2.AsyncClient(base_url=self.url, timeout=self.timeout, verify=NO_TLS) as http:
            return await http.request(method, path, **more)

    async def post(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> httpx2.Response:
        return await self.request(json={"query": query, "variables": variables}, **more)

    async def execute(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> Any:
        """The data; raises Failed when there are errors."""
        answer = (await self.post(query, variables, **more)).json()
        if "errors" in answer:
            raise Failed(answer["errors"])
        return answer["data"]


@dataclass(frozen=True, slots=True)
class Direct:
    """The schema without HTTP, which most tests use."""

    schema: LabelgraphSchema
    database: Database
    identity: Identity
    settings: Settings
    events: Events | None = None

    def context(self, key: str | None = None, request_hash: bytes = b"") -> Context:
        signer = Signer(secret=b"secret of the tests", lifetime=3_600)
        return Context(
            database=self.database,
            identity=self.identity,
            links=signer.links("http://test", self.identity.token_id, 1_700_000_000.0),
            events=self.events or Events(self.database),
            limits=call_limits(self.settings.limits),
            stores=Stores(AllowedLocations(self.settings.allowed_roots)),
            models=allowed_models(self.settings, Disks()),
            idempotency_key=key,
            request_hash=request_hash,
        )

    async def answer(self, query: str, variables: dict[str, Any] | None = None, key: str | None = None) -> Any:
        """The whole answer, decoded from its JSON text."""
        try:
            document = self.schema.documents.prepare(query)
            forbidden = forbidden_fields(document, self.identity, variables or {})
            document.cost(variables or {})
            request = Request(document, variables or {}, forbidden=forbidden)
            answer = await self.schema.run(request, self.context(key, query.encode()))
        except Refused as refused:
            answer = Answer(errors=refused.errors)
        return orjson.loads(answer if isinstance(answer, bytes) else answer.encode())

    async def execute(self, query: str, variables: dict[str, Any] | None = None, key: str | None = None) -> Any:
        """The data; raises Failed when there are errors."""
        answer = await self.answer(query, variables, key)
        if "errors" in answer:
            raise Failed(answer["errors"])
        return answer["data"]
