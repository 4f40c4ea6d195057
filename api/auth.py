"""Who sends a request: the bearer token of a header or of a socket's first message, verified against the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from db.errors import DomainError
from db.identity import tokens
from db.identity.tokens import Identity, hashed
from db.postgres.engine import Database
from db.postgres.outages import explain_to_client
from schema.errors import UNAUTHENTICATED, Refused, refusal
from schema.execution.lru_cache import LruCache

CACHE_SECONDS: Final = 2.0  # that a verified token is not verified again; a revocation works within 5
CACHE_TOKENS: Final = 4_096

Lookup = Callable[[asyncpg.Connection], Awaitable[Identity | None]]


@dataclass(slots=True)
class Authenticator:
    """Verifies tokens, and caches those that are valid for `CACHE_SECONDS`: by hash, never by text."""

    database: Database
    _cache: LruCache[tuple[float, Identity]] = field(
        default_factory=lambda: LruCache(lambda _: 1, max_size=CACHE_TOKENS)
    )

    async def identify(self, text: str | None) -> Identity:
        """Raises Refused (UNAUTHENTICATED)."""
        if text is None or not tokens.SHAPE.fullmatch(text):
            raise unauthenticated()
        identity = await self._cached(hashed(text), lambda connection: tokens.verify(connection, text))
        if identity is None:
            raise unauthenticated()
        return identity

    async def identify_id(self, token_id: int) -> Identity | None:
        """The identity behind a signed URL; None once its token is revoked or expired."""
        return await self._cached(token_id, lambda connection: tokens.by_id(connection, token_id))

    async def until_revoked(self, text: str | None) -> None:
        """Returns once the token is no longer valid. While the database cannot be reached, it counts as valid."""
        while True:
            await asyncio.sleep(CACHE_SECONDS)
            try:
                await self.identify(text)
            except Refused:
                return
            except DomainError:
                continue

    async def _cached(self, key: bytes | int, look_up: Lookup) -> Identity | None:
        now = time.monotonic()
        cached = self._cache.get(key)
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        try:
            identity = await self.database.read_anywhere(look_up)
        except Exception as error:
            if away := explain_to_client(error):
                raise away from error
            raise
        if identity is not None:
            self._cache.add(key, (now, identity))
        return identity


def unauthenticated() -> Refused:
    message = "A valid token is needed: send `Authorization: Bearer lg_…`; `labelgraph token create` makes one."
    return refusal(message, UNAUTHENTICATED)


def token_of(headers: Mapping[str, str]) -> str | None:
    return bearer(headers.get("authorization"))


def token_of_init(payload: object, headers: Mapping[str, str]) -> str | None:
    """From `connection_init`, in any of the spellings that clients use, or else from the handshake's header."""
    fields = payload if isinstance(payload, Mapping) else {}
    values: dict[str, Any] = {str(name).lower(): value for name, value in fields.items()}
    for name in ("authorization", "token"):
        if isinstance(values.get(name), str):
            return bearer(values[name]) or values[name].strip()
    return token_of(headers)


def bearer(header: str | None) -> str | None:
    scheme, _, text = (header or "").strip().partition(" ")
    return text.strip() if scheme.lower() == "bearer" and text.strip() else None
