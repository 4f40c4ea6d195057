"""What a mutation with an idempotency key did, and answered, is stored for a day, so that its repetition does nothing.

Each root field's outcome commits with its effect, in a row (token, key, field). The whole answer follows in the row
whose field is ''. A retry gets that answer; if the server died in between, fields with an outcome are not done again,
and the answer is built again from their outcomes. So are answers that are too large to be stored. What a field does
outside the database is noted beforehand.

An outcome whose `is_final` is false may get better: its repetition does what is left, and stores what came of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import asyncpg
from pydantic import TypeAdapter
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)
T = TypeVar("T")
adapter: Final[Callable[[Any], TypeAdapter[Any]]] = lru_cache(TypeAdapter)  # making one takes a millisecond
RETENTION: Final = timedelta(hours=24)
MAX_ANSWER: Final = 64 * 1024  # bytes of an answer that is stored
MAX_ANSWERS: Final = 32 * 1024 * 1024  # bytes of the stored answers of one token; the oldest go first
MAX_OUTCOMES: Final = 256 * 1024 * 1024  # bytes of all else of one token; its oldest keys go first, as if unused


@dataclass(frozen=True, slots=True)
class Keyed:
    """One root field of a request that carries a key. `request_hash` is of the whole request."""

    token_id: int
    key: str
    field: str
    request_hash: bytes

    @property
    def of_request(self) -> tuple[int, str]:
        """The token and the key."""
        return self.token_id, self.key


class KeyInUse(Exception):
    """Another transaction does what came with the same key: `transactions.write` waits for it, and tries again."""


async def once(
    session: AsyncSession, keyed: Keyed, work: Callable[[AsyncSession], Awaitable[T]], outcome: type[T]
) -> T:
    """Do the work and store its outcome in the same transaction, or return the outcome that is stored already."""
    earlier = (await lock_keys(session, [keyed])).get(keyed.of_request)
    if earlier is None:
        raise KeyInUse
    stored = earlier.outcome(keyed, outcome)
    if stored is not None:
        return stored
    result = await work(session)
    await store_outcomes(session, [(keyed, result)], outcome)
    return result


async def lock_keys(session: AsyncSession, keys: Sequence[Keyed]) -> dict[tuple[int, str], "Earlier"]:
    """Lock the keys that no other transaction has locked, until the commit, and find what was done under them."""
    values = {"token_ids": [each.token_id for each in keys], "keys": [each.key for each in keys]}
    locked = await sql.run(session, SQL.lock, **values)
    earlier = {(row["token_id"], row["key"]): Earlier() for row in locked}
    if earlier:
        values = {"token_ids": [token_id for token_id, _ in earlier], "keys": [key for _, key in earlier]}
        for row in await sql.run(session, SQL.outcomes, **values):
            earlier[row["token_id"], row["key"]].rows.append(row)
    return earlier


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was done under a key, by field."""

    rows: list[asyncpg.Record] = dataclass_field(default_factory=list)

    def outcome(self, keyed: Keyed, outcome: type[T]) -> T | None:
        """That of the field, if it was done, and a repetition could do nothing more. Raises CONFLICT if the key came
        with another request."""
        for row in self.rows:
            _same_request(row["request_hash"], keyed.request_hash)
            if row["field"] == keyed.field:
                stored: T = adapter(outcome).validate_json(row["outcome"])
                if is_final(stored):
                    return stored
        return None


async def store_outcomes(session: AsyncSession, done: Sequence[tuple[Keyed, T]], outcome: type[T]) -> None:
    """Store outcomes in the transaction that did what they are of."""
    keys = [keyed for keyed, _ in done]
    await sql.run(
        session,
        SQL.store_outcomes,
        token_ids=[each.token_id for each in keys],
        keys=[each.key for each in keys],
        fields=[each.field for each in keys],
        hashes=[each.request_hash for each in keys],
        outcomes=[adapter(outcome).dump_json(result).decode() for _, result in done],
    )


async def note(database: Database, keyed: Keyed, effect: str) -> bool:
    """Note something that is about to be done outside the database. Whether it was noted already: then this request may
    have done it before, or is doing it in another process."""
    row: dict[str, Any] = {"token_id": keyed.token_id, "key": keyed.key, "field": f"{keyed.field}\n{effect}"}
    async with database.writing() as session:
        if await sql.count(session, SQL.note, **row, request_hash=keyed.request_hash):
            return False
        for noted in await sql.run(session, SQL.outcome, **row):
            _same_request(noted["request_hash"], keyed.request_hash)
    return True


async def find_answer(database: Database, token_id: int, key: str, request_hash: bytes) -> bytes | None:
    """The answer that this request got before. Raises CONFLICT if the key came with another request."""
    async with database.reading() as connection:
        rows = await sql.run(connection, SQL.answers, token_id=token_id, key=key)
    for row in rows:
        _same_request(row["request_hash"], request_hash)
    return next((row["response"] for row in rows if row["field"] == ""), None)


async def find_outcome(database: Database, keyed: Keyed, outcome: type[T]) -> T | None:
    """What a field did, if it was carried out before. Raises CONFLICT if the key came with another request."""
    async with database.reading() as connection:
        row = await sql.first(connection, SQL.outcome, token_id=keyed.token_id, key=keyed.key, field=keyed.field)
    if row is None:
        return None
    _same_request(row["request_hash"], keyed.request_hash)
    found: T = adapter(outcome).validate_json(row["outcome"])
    return found


def is_final(outcome: object) -> bool:
    """Whether a repetition could do nothing more."""
    return bool(getattr(outcome, "is_final", True))


async def store_answer(database: Database, token_id: int, key: str, request_hash: bytes, answer: bytes) -> bytes:
    """Store an answer, and return the one to send: of several that race, the first that was stored. A large one is
    built again for every repetition: forty small requests could fill a disk otherwise."""
    if len(answer) > MAX_ANSWER:
        return answer
    async with database.writing() as session:
        await sql.run(session, SQL.store_answer, token_id=token_id, key=key, request_hash=request_hash, answer=answer)
        stored = await sql.first(session, SQL.answer, token_id=token_id, key=key)
    if stored is None:  # one that was stored before, and forgotten at this moment
        return answer
    _same_request(stored["request_hash"], request_hash)
    response: bytes = stored["response"]
    return response


async def sweep(database: Database) -> int:
    """Forget what is older than a day, and what is more than a token may have; how many rows of the former."""
    async with database.writing() as session:
        for limit, prune in ((MAX_ANSWERS, SQL.prune_answers), (MAX_OUTCOMES, SQL.prune_keys)):
            if await sql.value(session, SQL.is_larger, bytes=limit):
                await sql.run(session, prune, bytes=limit)
        return await sql.count(session, SQL.forget, age=RETENTION)


def _same_request(stored: bytes, request_hash: bytes) -> None:
    if stored != request_hash:
        raise Conflict("This idempotency key was used for another request; use a new key for a new request.")
