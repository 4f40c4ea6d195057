"""Bearer tokens: who may do what. A token's text is shown once; only its SHA-256 is kept."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import asyncpg
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import AlreadyExists, Invalid, NotFound
from db.postgres.models import Dataset, Token

SHAPE = re.compile(r"lg_[A-Za-z0-9_-]{43}")
PREFIX = 9  # characters that lists show: enough to tell tokens apart, useless to a guesser
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
    """Who asks. `name` is what `labeledBy` shows; `dataset_ids` None means every dataset."""

    name: str
    scope: Scope
    token_id: int
    dataset_ids: frozenset[int] | None = None

    def may(self, scope: Scope) -> bool:
        return self.scope >= scope

    def sees(self, dataset_id: int) -> bool:
        return self.dataset_ids is None or dataset_id in self.dataset_ids


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token as `token list` shows it."""

    id: int
    name: str
    prefix: str
    scope: Scope
    dataset_ids: tuple[int, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


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
    """Make a token and return its text, which cannot be had again. A name serves one valid token at a time."""
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
    made = await session.exec(insert(Token).values(**values).on_conflict_do_nothing().returning(col(Token.id)))
    if made.first() is None:
        raise AlreadyExists(f"There is a token named {name!r} already: revoke it first, or take another name.")
    return text


async def datasets_named(session: AsyncSession, names: Iterable[str]) -> list[int]:
    """The ids of the datasets that a token shall be confined to."""
    wanted = set(names)
    named = select(Dataset.name, Dataset.id).where(col(Dataset.name).in_(wanted), col(Dataset.deleted_at).is_(None))
    found = dict((await session.exec(named)).all())
    if missing := sorted(wanted - found.keys()):
        raise NotFound(f"There is no dataset named {missing[0]!r}.", code="DATASET_NOT_FOUND")
    return list(found.values())


async def listed(session: AsyncSession) -> list[TokenInfo]:
    """Every token, the newest first; revoked and expired ones too."""
    rows = await session.exec(select(Token).order_by(col(Token.id).desc()))
    return [
        TokenInfo(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            scope=parse_scope(row.scope),
            dataset_ids=None if row.dataset_ids is None else tuple(row.dataset_ids),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )
        for row in rows
    ]


async def revoke(session: AsyncSession, name_or_prefix: str) -> int:
    """End every valid token of that name or prefix, and say how many. Running servers notice within seconds."""
    matching = (col(Token.name) == name_or_prefix) | (col(Token.prefix) == name_or_prefix)
    statement = update(Token).where(matching, col(Token.revoked_at).is_(None)).values(revoked_at=func.now())
    revoked = (await session.exec(statement.returning(col(Token.id)))).all()
    if not revoked:
        raise NotFound(f"There is no valid token named {name_or_prefix!r}; see `token list`.")
    return len(revoked)


def hashed(text: str) -> bytes:
    """A token has 256 random bits, so a plain hash is as strong as a slow one."""
    return hashlib.sha256(text.encode()).digest()


async def verify(connection: asyncpg.Connection, text: str) -> Identity | None:
    """The identity behind a token's text; None if it is unknown, expired or revoked."""
    if not SHAPE.fullmatch(text):
        return None
    return _identity(await connection.fetchrow(f"{VALID} AND hash = $1", hashed(text)))


async def by_id(connection: asyncpg.Connection, token_id: int) -> Identity | None:
    """The identity behind a signed URL, while its token is valid."""
    return _identity(await connection.fetchrow(f"{VALID} AND id = $1", token_id))


VALID = """
    SELECT id, name, scope, dataset_ids FROM token
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


def _identity(row: asyncpg.Record | None) -> Identity | None:
    if row is None:
        return None
    ids = row["dataset_ids"]
    return Identity(
        name=row["name"],
        scope=parse_scope(row["scope"]),
        token_id=row["id"],
        dataset_ids=None if ids is None else frozenset(ids),
    )
