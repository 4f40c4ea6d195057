"""Who asks: the bearer token of a header or of a socket's first message, verified against the database."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from starlette.datastructures import Headers

from api.limits.keyed import KeyedLimit, LimitReached
from db.errors import DomainError
from db.identity import tokens
from db.identity.tokens import Identity, hashed
from db.postgres.engine import Database
from schema.errors import RATE_LIMITED, UNAUTHENTICATED, Refused, refusal

FRESH = 2.0  # seconds that a verified token is believed without asking again; a revocation works within 5
KNOWN = 4_096

Asking = Callable[[asyncpg.Connection], Awaitable[Identity | None]]


@dataclass(slots=True)
class Authenticator:
    """Verifies tokens, and remembers those that hold for `FRESH` seconds: by hash, never by text."""

    database: Database
    _known: OrderedDict[bytes | int, tuple[float, Identity]] = field(default_factory=OrderedDict)

    async def identify(self, text: str | None) -> Identity:
        """Raises Refused (UNAUTHENTICATED)."""
        if text is None or not tokens.SHAPE.fullmatch(text):
            raise unauthenticated()
        identity = await self._recall(hashed(text), lambda connection: tokens.verify(connection, text))
        if identity is None:
            raise unauthenticated()
        return identity

    async def identify_id(self, token_id: int) -> Identity | None:
        """The identity behind a signed URL; None once its token is revoked or expired."""
        return await self._recall(token_id, lambda connection: tokens.by_id(connection, token_id))

    async def until_revoked(self, text: str | None) -> None:
        """Returns once the token holds no longer. While the database cannot be asked, it is believed."""
        while True:
            await asyncio.sleep(FRESH)
            try:
                await self.identify(text)
            except Refused:
                return
            except DomainError:
                continue

    async def _recall(self, key: bytes | int, ask: Asking) -> Identity | None:
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < FRESH:
            return known[1]
        async with self.database.reading() as connection:
            identity = await ask(connection)
        if identity is None:
            self._known.pop(key, None)
            return None
        self._known[key] = (now, identity)
        self._known.move_to_end(key)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return identity


def unauthenticated() -> Refused:
    message = "A valid token is needed: send `Authorization: Bearer lg_…`; `labelgraph token create` makes one."
    return refusal(message, UNAUTHENTICATED)


def token_of(headers: Headers) -> str | None:
    return bearer(headers.get("authorization"))


def token_of_init(payload: object, headers: Headers) -> str | None:
    """From `connection_init`, in any of the spellings that clients use, or else from the handshake's header."""
    if not isinstance(payload, Mapping):
        return token_of(headers)
    given: dict[str, Any] = {str(name).lower(): value for name, value in payload.items()}
    for name in ("authorization", "token"):
        if isinstance(given.get(name), str):
            return bearer(given[name]) or given[name].strip()
    return token_of(headers)


def bearer(header: str | None) -> str | None:
    scheme, _, text = (header or "").strip().partition(" ")
    return text.strip() if scheme.lower() == "bearer" and text.strip() else None


@contextmanager
def share_of(shares: KeyedLimit, token_id: int, what: str) -> Generator[None, None, None]:
    """One more of what this token holds. Raises Refused (RATE_LIMITED)."""
    with ExitStack() as held:
        try:
            held.enter_context(shares.take(token_id))
        except LimitReached:
            message = f"This token has {shares.most} {what} already: wait for one to end, or close one."
            raise refusal(message, RATE_LIMITED, most=shares.most) from None
        yield
