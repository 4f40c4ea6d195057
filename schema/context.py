"""What an operation knows of its request. Built by the doors, one per operation (not per socket)."""

from dataclasses import dataclass, field

from db.engine import Database
from db.events import Events
from db.storage import Stores
from db.tokens import Identity
from db.uploads import Checks
from db.urls import Links


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may ask for; told in `serverInfo` and in error messages."""

    page: int = 100
    ids: int = 1_000
    answer: int = 16 * 1024 * 1024
    upload_file: int = 5 * 1024 * 1024
    upload_request: int = 8 * 1024 * 1024


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
