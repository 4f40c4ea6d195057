"""What an operation knows of its request. Built by the doors, one per operation (not per socket)."""

from dataclasses import dataclass, field

from db import defaults
from db.identity.tokens import Identity
from db.identity.urls import Links
from db.ingest.uploads import Checks
from db.jobs.events import Events
from db.postgres.engine import Database
from db.storage import Stores


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may ask for; told in `serverInfo` and in error messages."""

    ids: int = defaults.IDS
    answer: int = defaults.ANSWER
    upload_file: int = defaults.UPLOAD_FILE
    upload_request: int = defaults.UPLOAD_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    database: Database
    identity: Identity
    links: Links
    events: Events
    bounds: Bounds = field(default_factory=Bounds)
    idempotency_key: str | None = None
    request_hash: bytes = b""  # of the whole request, where it carries a key
    stores: Stores = field(default_factory=Stores)  # opens input and output paths, where they may lie
    checks: Checks = field(default_factory=Checks)
    unfinished: list[str] = field(default_factory=list)  # fields of which something may succeed when repeated
