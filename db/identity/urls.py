"""Signed URLs of images and thumbnails: made by Postgres inside the statement that reads a page, checked here.

    {base}/images/{source id}?e={expiry}&i={token id}&s={signature}
    {base}/thumbnails/{source id}/{size}?e=…&i=…&s=…
    {base}/uploads/{name}?e=…&i=…&s=…                 to which a file is PUT, where the store itself takes none

A request gets its own key, K = HMAC-SHA256(secret, "{token id}.{expiry}"), and the signature is the first half of
SHA-256(K || path), which Postgres computes without an extension and without ever seeing the secret. Half a hash
cannot be extended to a longer path. The URL dies with its expiry or its token.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.postgres.models import Secret

STABLE = 900  # seconds during which a page's URLs stay the same, so that browsers find their images in the cache
SIGNATURE = 32  # hexadecimal digits


def signed_sql(path: str, *, base: str, query: str, key: str) -> str:
    """SQL text of a signed URL. `path` is an SQL expression; the others are placeholders bound to `Links`' fields.

    >>> signed_sql("'/images/' || source.id", base="$1", query="$2", key="$3")
    "($1::text || '/images/' || source.id || $2::text || left(encode(sha256($3::bytea || convert_to('/images/' || source.id, 'UTF8')), 'hex'), 32))"
    """  # noqa: E501
    signature = f"left(encode(sha256({key}::bytea || convert_to({path}, 'UTF8')), 'hex'), {SIGNATURE})"
    return f"({base}::text || {path} || {query}::text || {signature})"


@dataclass(frozen=True, slots=True)
class Links:
    """What one request needs to sign URLs for its identity: three values for `signed_sql`."""

    base: str
    query: str
    key: bytes
    expiry: int = 0  # seconds since 1970

    def image(self, source_id: int) -> str:
        return self._signed(f"/images/{source_id}")

    def thumbnail(self, source_id: int, size: int) -> str:
        return self._signed(f"/thumbnails/{source_id}/{size}")

    def upload(self, name: str) -> str:
        return self._signed(f"/uploads/{name}")

    def _signed(self, path: str) -> str:
        return f"{self.base}{path}{self.query}{signature(self.key, path)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Holds the server's secret. `lifetime` is the least time that a URL works, in seconds."""

    secret: bytes
    lifetime: int

    def links(self, base: str, token_id: int, now: float) -> Links:
        expiry = (int(now) // STABLE + 1) * STABLE + self.lifetime
        return Links(base=base, query=f"?e={expiry}&i={token_id}&s=", key=self._key(token_id, expiry), expiry=expiry)

    def holds(self, path: str, token_id: int, expiry: int, given: str, now: float) -> bool:
        """Whether we signed this path for this token, and its time has not passed."""
        expected = signature(self._key(token_id, expiry), path)
        return hmac.compare_digest(expected.encode(), given.encode()) and now < expiry

    def _key(self, token_id: int, expiry: int) -> bytes:
        return hmac.digest(self.secret, f"{token_id}.{expiry}".encode(), "sha256")


def signature(key: bytes, path: str) -> str:
    return hashlib.sha256(key + path.encode()).hexdigest()[:SIGNATURE]


async def secret(session: AsyncSession) -> bytes:
    """The secret that all servers of this database share, made by whichever starts first."""
    made = insert(Secret).values(name="urls", value=secrets.token_bytes(32)).on_conflict_do_nothing()
    await session.exec(made)
    return (await session.exec(select(Secret.value).where(col(Secret.name) == "urls"))).one()
