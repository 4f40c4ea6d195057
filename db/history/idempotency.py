"""Exactly once (rule 8): what a keyed mutation did, and answered, is kept for a day.

Each root field's outcome commits with its effect, in a row (token, key, field). The whole answer follows in the row
whose field is ''. A retry is given that answer; if the server fell in between, fields with an outcome are not done
again, and the answer is built anew from their outcomes. So are answers that are too large to be kept. What a field
does outside the database is noted beforehand.

An outcome with an `is_final` that is false may get better: its repetition does what is left, and keeps what came of it.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar, cast

import asyncpg
from pydantic import TypeAdapter
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.postgres import sql
from db.postgres.engine import Database

T = TypeVar("T")
KEPT = timedelta(hours=24)
MOST_ANSWER = 64 * 1024  # bytes of an answer that is kept
MOST_ANSWERS = 32 * 1024 * 1024  # bytes of the answers that are kept of one token; the oldest go first
MOST_OUTCOMES = 256 * 1024 * 1024  # bytes of all else that is kept of one token; its oldest keys go first, as if unused

# Who comes second with a key waits here for the first, whatever fields the two requests have.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:token_id::bigint || ' ' || :key::text, 0))"
# An outcome is kept as text within jsonb: what a client sent may hold NUL, of which jsonb takes no escape of its own.
FOUND = """
    SELECT field, request_hash, outcome #>> '{}' AS outcome FROM idempotency WHERE token_id = :token_id AND key = :key
"""
OUTCOME = """
    INSERT INTO idempotency (token_id, key, field, request_hash, outcome)
    VALUES (:token_id, :key, :field, :request_hash, to_jsonb(:outcome::text))
    ON CONFLICT (token_id, key, field) DO UPDATE SET outcome = excluded.outcome
"""
ANSWERS = "SELECT field, request_hash, response FROM idempotency WHERE token_id = $1 AND key = $2"
FOUND_OF_FIELD = """
    SELECT request_hash, outcome #>> '{}' AS outcome FROM idempotency WHERE token_id = $1 AND key = $2 AND field = $3
"""
ANSWER = """
    INSERT INTO idempotency (token_id, key, field, request_hash, response) VALUES (:token_id, :key, '', :hash, :answer)
    ON CONFLICT (token_id, key, field) DO NOTHING
"""
NOTE = """
    INSERT INTO idempotency (token_id, key, field, request_hash) VALUES (:token_id, :key, :field, :hash)
    ON CONFLICT (token_id, key, field) DO NOTHING RETURNING key
"""
NOTED = "SELECT request_hash FROM idempotency WHERE token_id = :token_id AND key = :key AND field = :field"
KEPT_ANSWER = "SELECT request_hash, response FROM idempotency WHERE token_id = :token_id AND key = :key AND field = ''"
IS_LARGE = "SELECT pg_table_size('idempotency') > :most AS yes"
PRUNE = """
    DELETE FROM idempotency USING (
        SELECT token_id, key,
               sum(octet_length(response)) OVER (PARTITION BY token_id ORDER BY created_at DESC, key) AS size
        FROM idempotency WHERE field = ''
    ) answer
    WHERE answer.size > :most AND idempotency.field = ''
      AND idempotency.token_id = answer.token_id AND idempotency.key = answer.key
"""
# Sizes as they are stored, which are known without reading what is stored.
PRUNE_KEYS = """
    DELETE FROM idempotency USING (
        SELECT token_id, key, sum(size) OVER (PARTITION BY token_id ORDER BY begun DESC, key) AS size
        FROM (
            SELECT token_id, key, min(created_at) AS begun,
                   sum(100 + octet_length(key) + octet_length(field) + coalesce(pg_column_size(outcome), 0)) AS size
            FROM idempotency GROUP BY token_id, key
        ) one
    ) every
    WHERE every.size > :most AND idempotency.token_id = every.token_id AND idempotency.key = every.key
"""
SWEEP = "DELETE FROM idempotency WHERE created_at < now() - :kept::interval"


@dataclass(frozen=True, slots=True)
class Keyed:
    """One root field of a request that carries a key. `request_hash` is of the whole request."""

    token_id: int
    key: str
    field: str
    request_hash: bytes


async def once(
    session: AsyncSession, keyed: Keyed, work: Callable[[AsyncSession], Awaitable[T]], outcome: type[T]
) -> T:
    """Do the work and keep its outcome in the same transaction, or give the outcome that is kept already."""
    known = {"token_id": keyed.token_id, "key": keyed.key}
    await sql.run(session, LOCK, **known)
    for row in await sql.run(session, FOUND, **known):
        _same_request(row["request_hash"], keyed.request_hash)
        if row["field"] == keyed.field and is_final(known_outcome := _adapter(outcome).validate_json(row["outcome"])):
            return known_outcome
    done = await work(session)
    text = _adapter(outcome).dump_json(done).decode()
    await sql.run(session, OUTCOME, **known, field=keyed.field, request_hash=keyed.request_hash, outcome=text)
    return done


async def note(database: Database, keyed: Keyed, what: str) -> bool:
    """Note something that is about to be done outside the database, before it is done. Whether it was noted already:
    then this request, in a life before or beside this one, may have done it."""
    row = {"token_id": keyed.token_id, "key": keyed.key, "field": f"{keyed.field}\n{what}"}
    async with database.writing() as session:
        if await sql.run(session, NOTE, **row, hash=keyed.request_hash):
            return False
        for noted in await sql.run(session, NOTED, **row):
            _same_request(noted["request_hash"], keyed.request_hash)
    return True


async def find_answer(database: Database, token_id: int, key: str, request_hash: bytes) -> bytes | None:
    """The answer that this request was given before. Raises CONFLICT if the key came with another request."""
    async with database.reading() as connection:
        rows: list[asyncpg.Record] = await connection.fetch(ANSWERS, token_id, key)
    for row in rows:
        _same_request(row["request_hash"], request_hash)
    return next((row["response"] for row in rows if row["field"] == ""), None)


async def find_outcome(database: Database, keyed: Keyed, outcome: type[T]) -> T | None:
    """What a field did, if it was carried out before. Raises CONFLICT if the key came with another request."""
    async with database.reading() as connection:
        row = await connection.fetchrow(FOUND_OF_FIELD, keyed.token_id, keyed.key, keyed.field)
    if row is None:
        return None
    _same_request(row["request_hash"], keyed.request_hash)
    return _adapter(outcome).validate_json(row["outcome"])


def is_final(outcome: object) -> bool:
    """Whether a repetition could do nothing more."""
    return bool(getattr(outcome, "is_final", True))


async def keep_answer(database: Database, token_id: int, key: str, request_hash: bytes, answer: bytes) -> bytes:
    """Keep an answer, and give the one to send: of several that race, the first that was kept. A large one is built
    anew for every repetition: forty small requests could fill a disk otherwise."""
    if len(answer) > MOST_ANSWER:
        return answer
    known = {"token_id": token_id, "key": key}
    async with database.writing() as session:
        await sql.run(session, ANSWER, **known, hash=request_hash, answer=answer)
        kept = await sql.first(session, KEPT_ANSWER, **known)
    if kept is None:  # one that was kept before, and forgotten at this moment
        return answer
    _same_request(kept["request_hash"], request_hash)
    response: bytes = kept["response"]
    return response


async def sweep(database: Database) -> int:
    """Forget what is older than a day, and what is beyond that which a token may keep; how many rows of the former."""
    async with database.writing() as session:
        if await _is_larger(session, MOST_ANSWERS):
            await sql.run(session, PRUNE, most=MOST_ANSWERS)
        if await _is_larger(session, MOST_OUTCOMES):
            await sql.run(session, PRUNE_KEYS, most=MOST_OUTCOMES)
        return await sql.count(session, SWEEP, kept=KEPT)


async def _is_larger(session: AsyncSession, most: int) -> bool:
    row = await sql.first(session, IS_LARGE, most=most)
    return row is not None and bool(row["yes"])


def _same_request(kept: bytes, given: bytes) -> None:
    if kept != given:
        raise Conflict("This idempotency key was used for another request; take a new key for a new request.")


def _adapter(outcome: type[T]) -> TypeAdapter[T]:
    """Making one takes a millisecond, so each is made once."""
    adapter: TypeAdapter[T] = _made_adapter(cast(Hashable, outcome))
    return adapter


@lru_cache
def _made_adapter(outcome: Any) -> TypeAdapter[Any]:
    return TypeAdapter(outcome)
