"""The parts of a running process: built once by the lifespan (`api/app.py`), passed to every endpoint."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.types import Scope

from api.allowed_hosts import AllowedHosts
from api.auth import Authenticator
from api.files.thumbnails import Thumbnails
from api.graphql.mutations import Mutations
from api.graphql.persisted_queries import PersistedQueries
from api.graphql.recent_queries import RecentQueries
from api.limits.rates import OperationRate, ReadRate
from api.limits.requests import KeyedLimit
from api.observation.observer import Observer
from api.settings import Settings
from api.worker import Pulse
from db.auto_labelling.allowed import AllowedModels
from db.concurrency_limits import ConcurrencyLimit
from db.identity.tokens import Identity
from db.identity.urls import Signer
from db.ingest.uploads import Checks
from db.jobs.events import Events
from db.postgres.engine import Database
from db.queries import CallLimits
from db.storage import Stores
from schema.context import Context
from schema.execution.messages import Request
from schema.execution.schema import LabelgraphSchema
from schema.execution.worker_thread import WorkerThread

if TYPE_CHECKING:
    from api.graphql.event_streams import EventStreams


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    settings: Settings
    database: Database
    events: Events
    schema: LabelgraphSchema
    authenticator: Authenticator
    streams: KeyedLimit  # WebSockets and event streams of a token
    event_streams: "EventStreams"  # for the answers of many operations
    requests: KeyedLimit  # HTTP requests of a token
    operations: ConcurrencyLimit  # that use the database
    mutations: Mutations
    operation_rate: OperationRate  # of a token
    signer: Signer
    hosts: AllowedHosts
    limits: CallLimits
    thumbnails: Thumbnails
    stores: Stores
    models: AllowedModels
    uploads: ConcurrencyLimit  # requests whose files are in memory
    checks: Checks
    persisted_queries: PersistedQueries
    recent_queries: RecentQueries
    read_rate: ReadRate = field(default_factory=ReadRate)
    bodies: WorkerThread = field(default_factory=lambda: WorkerThread("labelgraph-bodies"))  # reads large ones
    observer: Observer = field(default_factory=Observer)
    worker: Pulse | None = None  # of the worker in this process
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # set when the server begins to stop: streams end

    def context(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        identity: Identity,
        request: Request,
        key: tuple[str | None, bytes],
        *,
        position: int = 0,
    ) -> Context:
        """The context of one operation, which sees at least this position of the database. Raises Refused where the
        request names another server."""
        base = self.settings.public_url or self.hosts.base_url(scope, headers)
        return Context(
            database=self.database.of_client(
                identity.token_id, position=position, may_use_standbys=request.document.is_query
            ),
            identity=identity,
            links=self.signer.links(base.rstrip("/"), identity.token_id, time.time()),
            events=self.events,
            limits=self.limits,
            stores=self.stores,
            models=self.models,
            checks=self.checks,
            idempotency_key=key[0],
            request_hash=key[1],
            last_event_id=headers.get("last-event-id"),
        )


def runtime(scope: Scope) -> Runtime:
    """The runtime that the lifespan put into the ASGI state."""
    return cast(Runtime, scope["state"]["runtime"])
