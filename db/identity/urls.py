"""Signed URLs of images and thumbnails: signed by Postgres inside the statement that reads a page, checked here.

    {base}/images/{source id}.{suffix}?e={expiry}&i={token id}&s={signature}
    {base}/originals/{source id}.{suffix}?e=…&i=…&s=…   where browsers cannot show the file as it is
    {base}/thumbnails/{source id}/{size}.jpg?e=…&i=…&s=…
    {base}/exports/{file id}?e=…&i=…&s=…              a file of an export
    {base}/uploads/{name}?e=…&i=…&s=…                 to which a client PUTs a file, if the store itself takes none

A request gets its own key, K = HMAC-SHA256(secret, "{token id}.{expiry}"), and the signature is the first half of
SHA-256(K || path), which Postgres computes without an extension and without knowing the secret. Half a hash cannot be
extended to a longer path. The URL is valid until its expiry, while its token is.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import ColumnElement, func, literal_column
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.postgres.models import Secret

STABLE = 900  # seconds for which a page's URLs stay the same, so that browsers find the images in their cache
SIGNATURE = 32  # hexadecimal digits


def signed_sql(
    path: ColumnElement[str], *, base: ColumnElement[str], query: ColumnElement[str], key: ColumnElement[bytes]
) -> ColumnElement[str]:
    """The URL of a path, signed by Postgres as `Links` signs it; `base`, `query` and `key` are those of `Links`."""
    message = key.op("||")(func.convert_to(path, literal_column("'UTF8'")))
    digest = func.encode(func.sha256(message), literal_column("'hex'"))
    return func.concat(base, path, query, func.left(digest, literal_column(str(SIGNATURE))))


@dataclass(frozen=True, slots=True)
class Links:
    """What one request needs to sign URLs for its identity: three values for `signed_sql`."""

    base: str
    query: str
    key: bytes
    expiry: int = 0  # seconds since 1970

    def image(self, source_id: int, suffix: str = ".jpg") -> str:
        return self.signed(f"/images/{source_id}{suffix}")

    def original(self, source_id: int, suffix: str) -> str:
        return self.signed(f"/originals/{source_id}{suffix}")

    def thumbnail(self, source_id: int, size: int) -> str:
        return self.signed(f"/thumbnails/{source_id}/{size}.jpg")

    def export(self, file_id: int) -> str:
        return self.signed(f"/exports/{file_id}")

    def upload(self, name: str) -> str:
        return self.signed(f"/uploads/{name}")

    def signed(self, path: str) -> str:
        return f"{self.base}{path}{self.query}{signature(self.key, path)}"


@dataclass(frozen=True, slots=True)
class Signer:
    """Holds the server's secret. `lifetime`: seconds for which a URL is valid at least."""

    secret: bytes
    lifetime: int

    def links(self, base: str, token_id: int, now: float) -> Links:
        return _links(self.secret, base, token_id, (int(now) // STABLE + 1) * STABLE + self.lifetime)

    def is_valid(self, path: str, token_id: int, expiry: int, signed: str, now: float) -> bool:
        """Whether we signed this path for this token, and it has not expired."""
        expected = signature(_key(self.secret, token_id, expiry), path)
        return hmac.compare_digest(expected.encode(), signed.encode()) and now < expiry


@lru_cache(maxsize=1_024)
def _links(secret: bytes, base: str, token_id: int, expiry: int) -> Links:
    """Every request has its links, the same for a quarter of an hour, though few answers contain URLs."""
    return Links(base, f"?e={expiry}&i={token_id}&s=", _key(secret, token_id, expiry), expiry)


def _key(secret: bytes, token_id: int, expiry: int) -> bytes:
    return hmac.digest(secret, f"{token_id}.{expiry}".encode(), "sha256")


def signature(key: bytes, path: str) -> str:
    return hashlib.sha256(key + path.encode()).hexdigest()[:SIGNATURE]


async def secret(session: AsyncSession) -> bytes:
    """The secret that all servers of this database share; the first one that starts makes it."""
    new = insert(Secret).values(name="urls", value=secrets.token_bytes(32)).on_conflict_do_nothing()
    await session.exec(new)
    return (await session.exec(select(Secret.value).where(col(Secret.name) == "urls"))).one()
