"""The context of an operation: what it needs of its request. The transports build one per operation, not per socket."""

from dataclasses import dataclass, field

from db.auto_labelling.allowed import AllowedModels
from db.identity.tokens import Identity
from db.identity.urls import Links
from db.ingest.uploads import Checks
from db.jobs.events import Events
from db.postgres.engine import Database
from db.queries import CallLimits
from db.storage import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    database: Database
    identity: Identity
    links: Links
    events: Events
    limits: CallLimits = field(default_factory=CallLimits)
    idempotency_key: str | None = None
    request_hash: bytes = b""  # of the whole request, where it carries a key
    last_event_id: str | None = None  # the cursor behind which an event stream goes on that was interrupted
    stores: Stores = field(default_factory=Stores)  # opens input and output paths, where they may lie
    models: AllowedModels = field(default_factory=AllowedModels)  # that may suggest annotations
    checks: Checks = field(default_factory=Checks)
    unfinished: list[str] = field(default_factory=list)  # fields of which something may succeed when repeated
