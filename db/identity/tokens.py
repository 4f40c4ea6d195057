"""Bearer tokens: who may do what. A token's text is shown once; only its SHA-256 is stored."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

import asyncpg
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid, NotFound
from db.postgres import sql
from db.postgres.models import Dataset, Token

SQL: Final = sql.load(__file__)
SHAPE = re.compile(r"lg_[A-Za-z0-9_-]{43}")
PREFIX = 9  # characters that lists show: enough to distinguish tokens
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")


class Scope(IntEnum):
    """Each scope includes the ones below it."""

    READ = 1
    LABEL = 2
    MANAGE = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request. `name` is what `labeledBy` shows; `dataset_ids` None means every dataset."""

    name: str
    scope: Scope
    token_id: int
    dataset_ids: frozenset[int] | None = None
    expires_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        return self.scope >= scope

    def sees(self, dataset_id: int) -> bool:
        return self.dataset_ids is None or dataset_id in self.dataset_ids


def parse_scope(word: str) -> Scope:
    try:
        return Scope[word.upper()]
    except KeyError:
        raise Invalid(f"There is no scope {word!r}; a scope is read, label or manage.") from None


async def create(
    session: AsyncSession,
    *,
    name: str,
    scope: Scope,
    expires_at: datetime | None = None,
    dataset_ids: Iterable[int] | None = None,
) -> str:
    """Make a token and return its text, which is not stored. A name belongs to one valid token at a time."""
    if not NAME.fullmatch(name) or name != name.strip():
        raise Invalid("A token's name has 1 to 64 characters, no control characters, and no blank at its ends.")
    text = "lg_" + secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "name": name,
        "prefix": text[:PREFIX],
        "hash": hashed(text),
        "scope": scope.word,
        "expires_at": expires_at,
        "dataset_ids": None if dataset_ids is None else sorted(set(dataset_ids)),
    }
    created = await session.exec(insert(Token).values(**values).on_conflict_do_nothing().returning(col(Token.id)))
    if created.first() is None:
        raise AlreadyExists(f"There is a token named {name!r} already: revoke it first, or take another name.")
    return text


async def datasets_named(session: AsyncSession, names: Iterable[str]) -> list[int]:
    """The ids of the datasets with these names."""
    names = set(names)
    statement = select(Dataset.name, Dataset.id).where(col(Dataset.name).in_(names), col(Dataset.deleted_at).is_(None))
    found = dict((await session.exec(statement)).all())
    if missing := sorted(names - found.keys()):
        raise NotFound(f"There is no dataset named {missing[0]!r}.", code="DATASET_NOT_FOUND")
    return list(found.values())


async def list_all(session: AsyncSession) -> Sequence[Token]:
    """Every token, the newest first; revoked and expired ones too."""
    return (await session.exec(select(Token).order_by(col(Token.id).desc()))).all()


async def revoke(session: AsyncSession, name_or_prefix: str) -> int:
    """Revoke every valid token of this name or prefix; how many. Running servers notice within seconds. Their files for
    imports, which nobody else could import, are cleared away."""
    matching = (col(Token.name) == name_or_prefix) | (col(Token.prefix) == name_or_prefix)
    statement = update(Token).where(matching, col(Token.revoked_at).is_(None)).values(revoked_at=func.now())
    revoked = (await session.exec(statement.returning(col(Token.id)))).scalars().all()
    if not revoked:
        raise NotFound(f"There is no valid token named {name_or_prefix!r}; see `token list`.")
    await sql.run(session, SQL.end_uploads, tokens=[str(id) for id in revoked])
    return len(revoked)


def hashed(text: str) -> bytes:
    """A token has 256 random bits, so a plain hash is as strong as a slow one."""
    return hashlib.sha256(text.encode()).digest()


async def verify(connection: asyncpg.Connection, text: str) -> Identity | None:
    """The identity behind a token's text; None if it is unknown, expired or revoked."""
    if not SHAPE.fullmatch(text):
        return None
    return _identity(await sql.first(connection, SQL.with_hash, hash=hashed(text)))


async def by_id(connection: asyncpg.Connection, token_id: int) -> Identity | None:
    """The identity behind a signed URL, while its token is valid."""
    return _identity(await sql.first(connection, SQL.with_id, id=token_id))


def _identity(row: asyncpg.Record | None) -> Identity | None:
    if row is None:
        return None
    ids = row["dataset_ids"]
    dataset_ids = None if ids is None else frozenset(ids)
    return Identity(row["name"], parse_scope(row["scope"]), row["id"], dataset_ids, row["expires_at"])
