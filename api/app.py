"""The application: its routes, and the lifespan in which everything it is made of is built and taken down again."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from api import health, playground, worker
from api.allowed_hosts import AllowedHosts
from api.auth import Authenticator
from api.configuration import call_limits, database_limits, decoding_limits, document_limits
from api.files import images, staged_uploads
from api.files.thumbnails import Thumbnails, thumbnails
from api.graphql.http import graphql
from api.graphql.multipart import PREFLIGHT
from api.graphql.websocket import graphql_socket
from api.limits.addresses import AddressLimit
from api.limits.keyed import KeyedLimit
from api.runtime import Runtime, runtime
from api.settings import Settings
from api.stores import stores
from api.worker import Pulse
from db.concurrency import ConcurrencyLimit
from db.formats.decoding import decoders
from db.identity import urls
from db.ingest.uploads import Checks
from db.jobs import events
from db.jobs.events import Events
from db.postgres import engine
from db.postgres.engine import Database
from db.storage import Disk, Stores
from schema import build_schema
from schema.execution.messages import ExecutableSchema

Lifespan = Callable[[Starlette], AbstractAsyncContextManager["State"]]


class State(TypedDict):
    runtime: Runtime


def create_app(settings: Settings, schema: ExecutableSchema | None = None) -> Starlette:
    """An ASGI application over the database that the settings name, which is migrated already."""
    executable = schema or build_schema(document_limits(settings.limits))
    return Starlette(
        routes=[
            Route("/", _home),
            Route("/graphql", GraphQL()),
            WebSocketRoute("/graphql", graphql_socket),
            Route("/schema.graphql", _sdl),
            Route("/playground/{name}", playground.asset),
            Route("/images/{source}", images.image),
            Route("/thumbnails/{source}/{size}", images.thumbnail),
            Route("/uploads/{name}", staged_uploads.Door()),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
        ],
        middleware=_middleware(settings),
        lifespan=_lifespan(settings, executable),
    )


class GraphQL:
    """A route takes every method only for an ASGI application, which must not be a function."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await graphql(scope, receive, send)


def _middleware(settings: Settings) -> list[Middleware]:
    """Pages of other origins may call us only where the settings say so; they send tokens, never cookies."""
    shares = KeyedLimit(settings.limits.address_connections)
    admission = Middleware(AddressLimit, shares=shares, proxies=settings.proxies)
    if not settings.allowed_origins:
        return [admission]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST", "PUT"],
        allow_headers=["authorization", "content-type", *PREFLIGHT],
        max_age=3_600,
    )
    return [admission, cors]


def _lifespan(settings: Settings, schema: ExecutableSchema) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State, None]:
        async with (
            engine.connect(str(settings.database_url), database_limits(settings)) as database,
            events.listening(database, url=settings.listen_url) as heard,
            stores(settings) as opened,
            decoders(decoding_limits(settings)) as decoding,
            thumbnails(
                settings.data_dir / "thumbnails",
                most=settings.thumbnail_cache_bytes,
                decoders=decoding,
                largest=settings.limits.image_file,
                disk=Disk(settings.timeouts.disk),
            ) as kept,
            _worker(settings, database) as pulse,
        ):
            yield {"runtime": await _runtime(settings, schema, database, heard, opened, kept, pulse)}

    return lifespan


@asynccontextmanager
async def _worker(settings: Settings, database: Database) -> AsyncGenerator[Pulse | None, None]:
    """A worker beside the doors, unless the settings say that others do the jobs. It gives back what it holds."""
    if not settings.worker:
        yield None
        return
    stop, pulse = asyncio.Event(), Pulse()
    working = asyncio.create_task(worker.run(database, settings, stop=stop, pulse=pulse))
    try:
        yield pulse
    finally:
        stop.set()
        await working


async def _runtime(
    settings: Settings,
    schema: ExecutableSchema,
    database: Database,
    heard: Events,
    opened: Stores,
    kept: Thumbnails,
    pulse: Pulse | None,
) -> Runtime:
    return Runtime(
        settings=settings,
        database=database,
        events=heard,
        schema=schema,
        authenticator=Authenticator(database),
        streams=KeyedLimit(settings.limits.sockets),
        requests=KeyedLimit(settings.limits.token_requests),
        operations=ConcurrencyLimit(2 * settings.pool_size, settings.pool_size // 2),
        signer=urls.Signer(secret=await _secret(settings, database), lifetime=settings.url_lifetime),
        hosts=AllowedHosts.of(settings),
        limits=call_limits(settings.limits),
        thumbnails=kept,
        stores=opened,
        uploads=ConcurrencyLimit(settings.limits.uploads, settings.limits.uploads // 2),
        checks=Checks(kept.decoders.check, asyncio.Semaphore(settings.limits.uploads)),
        worker=pulse,
    )


async def _secret(settings: Settings, database: Database) -> bytes:
    if settings.secret is not None:
        return settings.secret.encode()
    async with database.writing() as session:
        return await urls.secret(session)


async def _home(_: Request) -> Response:
    return RedirectResponse("graphql")


async def _sdl(request: Request) -> Response:
    headers = {"x-content-type-options": "nosniff"}
    return Response(runtime(request.scope).schema.as_str(), media_type="text/plain; charset=utf-8", headers=headers)
