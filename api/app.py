"""The application: its routes, and the lifespan that builds its parts and closes them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from uvicorn.middleware.proxy_headers import _TrustedHosts

from api import health, playground, web, worker
from api.allowed_hosts import AllowedHosts
from api.auth import Authenticator
from api.compression import TextResponse
from api.configuration import allowed_models, database_limits, decoding_limits, stores
from api.files import exports, images, staged_uploads
from api.files.thumbnails import thumbnails
from api.graphql.event_streams import EventStreams
from api.graphql.http import BeforeRoutes, GraphQLOverHTTP
from api.graphql.mutations import Mutations
from api.graphql.persisted_queries import PersistedQueries
from api.graphql.recent_queries import RecentQueries
from api.graphql.trusted_documents import TrustedDocuments
from api.graphql.websocket import graphql_socket
from api.limits.rates import OperationRate
from api.limits.requests import AddressLimit, KeyedLimit
from api.observation.observer import Observer, ResponseCounter, observing
from api.runtime import Runtime, runtime
from api.server_configuration import call_limits, document_limits
from api.settings import Settings
from api.worker import Pulse
from db.concurrency_limits import ConcurrencyLimit
from db.formats.decoding import decoders
from db.identity import urls
from db.ingest.uploads import Checks
from db.jobs import events
from db.postgres import engine
from db.postgres.engine import Database
from db.postgres.standbys import Positions
from db.storage import Disk
from schema import build_schema
from schema.execution.schema import LabelgraphSchema

REQUESTS_REFUSED: Final = "This token has {limit} requests running already: wait for one to end, or close one."
ADDRESS_STREAMS_REFUSED: Final = "This address has {limit} event streams already: wait for one to end, or close one."
STREAMS_REFUSED: Final = "This token has {limit} open connections already: wait for one to end, or close one."


def create_app(
    settings: Settings, schema: LabelgraphSchema | None = None, positions: Positions | None = None
) -> Starlette:
    """An ASGI application over the database that the settings name, which is migrated already. `positions`: shared with
    the other processes of the server."""
    trusted = TrustedDocuments.read(settings.trusted_documents, only=settings.trusted_only)
    graphql_over_http, middleware = GraphQLOverHTTP(), []
    if settings.allowed_origins:  # pages of other origins, which send tokens, never cookies
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["DELETE", "GET", "POST", "PUT"],
            allow_headers=["*"],  # those that the browser asks for, such as `traceparent`: nothing depends on others
            expose_headers=["labelgraph-position", "retry-after", "x-request-id"],
            max_age=3_600,
        )
        middleware.append(cors)
    if settings.metrics_port is not None:
        middleware.insert(0, Middleware(ResponseCounter))
    middleware.append(Middleware(AddressLimit, limit=settings.limits.address_connections, proxies=settings.proxies))
    middleware.append(Middleware(BeforeRoutes, path="/graphql", endpoint=graphql_over_http))
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/graphql", graphql_over_http),
            WebSocketRoute("/graphql", graphql_socket),
            Route("/schema.graphql", sdl),
            Route("/ui", web.without_slash),
            Route("/ui/", web.page),
            Route("/ui/assets/{name}", web.asset),
            Route("/playground/{name}", playground.asset),
            Route("/images/{source}", images.get_image),
            Route("/originals/{source}", images.get_original),
            Route("/thumbnails/{source}/{size}", images.get_thumbnail),
            Route("/exports/{file}", exports.get_export),
            Route("/uploads/{name}", staged_uploads.StagedUploads()),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
        ],
        lifespan=partial(
            _lifespan, settings, trusted, schema or build_schema(document_limits(settings.limits)), positions
        ),
    )
    app.middleware_stack = app.build_middleware_stack()  # around the routes, and ours around it
    for each in reversed(middleware):
        app.middleware_stack = each.cls(app.middleware_stack, *each.args, **each.kwargs)
    return app


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    trusted: TrustedDocuments,
    schema: LabelgraphSchema,
    positions: Positions | None,
    _: Starlette,
) -> AsyncGenerator[Mapping[str, Runtime], None]:
    limits = settings.limits
    async with (
        observing(settings, trusted.texts) as observer,
        engine.connect(
            str(settings.database_url),
            database_limits(settings),
            observer.statements,
            standbys=settings.read_urls,
            positions=positions,
        ) as database,
        events.listening(database, url=settings.listen_url) as subscriptions,
        stores(settings, observer.on_store_call) as opened_stores,
        decoders(decoding_limits(settings)) as opened_decoders,
        thumbnails(
            settings.data_dir / "thumbnails",
            cache_bytes=settings.thumbnail_cache_bytes,
            decoders=opened_decoders,
            max_bytes=limits.image_file,
            disk=Disk(settings.timeouts.disk),
        ) as opened_thumbnails,
        _worker(settings, database, observer) as pulse,
    ):
        if settings.secret is not None:
            secret = settings.secret.encode()
        else:
            async with database.writing() as session:
                secret = await urls.secret(session)
        runtime = Runtime(
            settings=settings,
            database=database,
            events=subscriptions,
            schema=schema,
            authenticator=Authenticator(database),
            streams=KeyedLimit(limits.sockets, STREAMS_REFUSED),
            event_streams=EventStreams(
                KeyedLimit(limits.address_connections, ADDRESS_STREAMS_REFUSED), _TrustedHosts(settings.proxies)
            ),
            requests=KeyedLimit(limits.token_requests, REQUESTS_REFUSED),
            operations=ConcurrencyLimit(2 * settings.pool_size, settings.pool_size // 2),
            mutations=Mutations(),
            operation_rate=OperationRate(limits.token_operations),
            signer=urls.Signer(secret=secret, lifetime=settings.url_lifetime),
            hosts=AllowedHosts.of(settings),
            limits=call_limits(limits),
            thumbnails=opened_thumbnails,
            stores=opened_stores,
            models=allowed_models(settings, opened_stores.disks),
            uploads=ConcurrencyLimit(limits.uploads, limits.uploads // 2),
            checks=Checks(opened_decoders.check, asyncio.Semaphore(limits.uploads)),
            persisted_queries=PersistedQueries(limits.persisted_queries, trusted),
            recent_queries=RecentQueries(schema.documents),
            observer=observer,
            worker=pulse,
        )
        observer.watch_database(database)
        observer.watch_decoders("server", opened_decoders)
        observer.watch_server(runtime)
        yield {"runtime": runtime}
        await runtime.mutations.finish()


@asynccontextmanager
async def _worker(settings: Settings, database: Database, observer: Observer) -> AsyncGenerator[Pulse | None, None]:
    """A worker in the server's process, unless others do the jobs. On leaving, its jobs go back to the queue."""
    if not settings.worker:
        yield None
        return
    stop, pulse = asyncio.Event(), Pulse()
    task = asyncio.create_task(worker.run(database, settings, stop=stop, pulse=pulse, observer=observer))
    try:
        yield pulse
    finally:
        stop.set()
        await task


async def home(_: Request) -> Response:
    return RedirectResponse("ui/")


async def sdl(request: Request) -> Response:
    headers = {"x-content-type-options": "nosniff"}
    return TextResponse(runtime(request.scope).schema.as_str(), media_type="text/plain; charset=utf-8", headers=headers)
