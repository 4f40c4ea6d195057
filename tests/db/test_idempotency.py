"""Exactly once: many duplicates, answers lost, connections cut on either side of COMMIT."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, Invalid, Unavailable
from db.history import idempotency
from db.history.changes import RetryTransaction
from db.history.idempotency import Keyed
from db.history.transactions import write
from db.identity import tokens
from db.identity.tokens import Scope
from db.labelling import labels
from db.labelling.labels import Created, LabelValues
from db.postgres import engine, sql
from db.postgres.engine import Database
from tests.client import NO_DATABASE
from tests.db.dataset_rows import ANN, DatasetRows, make, wrong
from tests.waiting import TIMEOUT

HASH = b"hash of the request"


@pytest.fixture
async def token_id(database: Database) -> int:
    async with database.writing() as session:
        await tokens.create(session, name="ann", scope=Scope.MANAGE)
        [row] = await sql.run(session, "SELECT id FROM token")
    return int(row["id"])


def creating(pets: DatasetRows, name: str) -> Any:
    async def work(session: AsyncSession) -> Created:
        return await labels.create(session, pets.id, [LabelValues(name)], by=ANN)

    return work


async def made(database: Database, pets: DatasetRows) -> list[str]:
    async with database.reading() as reader:
        rows = await reader.fetch("SELECT name FROM label WHERE dataset_id = $1 ORDER BY name", pets.id)
    return [row["name"] for row in rows]


async def test_of_many_duplicates_at_once_one_has_an_effect_and_all_its_outcome(
    database: Database, token_id: int
) -> None:
    pets = await make(database)
    keys = [f"key{n}" for n in range(5)] * 8
    random.Random(1).shuffle(keys)

    async def ask(key: str) -> tuple[str, Created]:
        keyed = Keyed(token_id, key, "createLabels", HASH)
        return key, await write(database, creating(pets, key), Created, keyed)

    answers = set(await asyncio.gather(*map(ask, keys)))
    assert len(answers) == 5
    assert await made(database, pets) == sorted({f"key{n}" for n in range(5)})


async def test_the_key_with_another_request_is_a_conflict_and_changes_nothing(
    database: Database, token_id: int
) -> None:
    pets = await make(database)
    await write(database, creating(pets, "cat"), Created, Keyed(token_id, "k", "createLabels", HASH))
    with pytest.raises(Conflict):
        await write(database, creating(pets, "dog"), Created, Keyed(token_id, "k", "createLabels", b"other"))
    with pytest.raises(Conflict):
        await write(database, creating(pets, "dog"), Created, Keyed(token_id, "k", "labelSamples", b"other"))
    with pytest.raises(Conflict):
        await idempotency.find_answer(database, token_id, "k", b"other")
    assert await made(database, pets) == ["cat"]


async def test_the_same_key_of_two_tokens_is_two_keys(database: Database, token_id: int) -> None:
    pets = await make(database)
    async with database.writing() as session:
        await tokens.create(session, name="bob", scope=Scope.MANAGE)
    for token, name in ((token_id, "cat"), (token_id + 1, "dog")):
        await write(database, creating(pets, name), Created, Keyed(token, "k", "createLabels", HASH))
    assert await made(database, pets) == ["cat", "dog"]


async def test_a_refused_unit_leaves_its_key_free(database: Database, token_id: int) -> None:
    pets = await make(database)
    keyed = Keyed(token_id, "k", "createLabels", HASH)
    with pytest.raises(Invalid):
        await write(database, creating(pets, "a b"), Created, keyed)
    await write(database, creating(pets, "cat"), Created, keyed)
    assert await made(database, pets) == ["cat"]


async def test_the_first_answer_that_is_kept_is_given_to_all(database: Database, token_id: int) -> None:
    assert await idempotency.find_answer(database, token_id, "k", HASH) is None
    answers = [b'{"n":%d}' % n for n in range(6)]
    given = await asyncio.gather(
        *(idempotency.store_answer(database, token_id, "k", HASH, answer) for answer in answers)
    )
    assert len(set(given)) == 1
    assert await idempotency.find_answer(database, token_id, "k", HASH) == given[0]
    with pytest.raises(Conflict):
        await idempotency.find_answer(database, token_id, "k", b"other")


async def test_what_is_older_than_a_day_is_forgotten(database: Database, token_id: int) -> None:
    for key in ("old", "new"):
        await idempotency.store_answer(database, token_id, key, HASH, b"{}")
    async with database.writing() as session:
        statement = "UPDATE idempotency SET created_at = now() - :age::interval WHERE key = 'old'"
        await sql.run(session, statement, age=timedelta(hours=24, seconds=1))
    assert await idempotency.sweep(database) == 1
    assert await idempotency.find_answer(database, token_id, "old", HASH) is None
    assert await idempotency.find_answer(database, token_id, "new", HASH) == b"{}"


async def test_a_large_answer_is_not_kept(database: Database, token_id: int) -> None:
    large = b"x" * (idempotency.MAX_ANSWER + 1)
    assert await idempotency.store_answer(database, token_id, "k", HASH, large) == large
    assert await idempotency.find_answer(database, token_id, "k", HASH) is None


async def test_a_token_keeps_its_newest_answers(
    database: Database, token_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWERS", 100_000)
    for n in range(10):
        await idempotency.store_answer(database, token_id, f"k{n}", HASH, random.randbytes(30_000))
    await idempotency.sweep(database)
    kept = [n for n in range(10) if await idempotency.find_answer(database, token_id, f"k{n}", HASH)]
    assert kept == [7, 8, 9]


async def test_a_token_keeps_its_newest_outcomes(
    database: Database, token_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_OUTCOMES", 100_000)
    async with database.writing() as session:
        await tokens.create(session, name="bob", scope=Scope.MANAGE)
    await _keep(database, token_id + 1, "theirs", 20_000)
    for n in range(10):
        await _keep(database, token_id, f"k{n}", 20_000)
        assert await idempotency.note(database, Keyed(token_id, f"k{n}", "f", HASH), "0 cat.png") is False
    await idempotency.sweep(database)
    async with database.reading() as reader:
        rows = await reader.fetch("SELECT key, count(*) AS n FROM idempotency GROUP BY key ORDER BY key")
    assert [(row["key"], row["n"]) for row in rows] == [("k6", 2), ("k7", 2), ("k8", 2), ("k9", 2), ("theirs", 1)]


async def _keep(database: Database, token_id: int, key: str, size: int) -> None:
    """An outcome that no compression makes smaller."""

    async def work(_: AsyncSession) -> str:
        return base64.b64encode(random.randbytes(size * 3 // 4)).decode()

    await write(database, work, str, Keyed(token_id, key, "f", HASH))


class Cut:
    """A proxy before Postgres that closes a connection at its COMMIT: before it arrives, or with its reply lost."""

    def __init__(self, *, arrives: bool) -> None:
        self.arrives = arrives
        self.armed = False
        self.cuts = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket: str) -> None:
        there, back = await asyncio.open_unix_connection(socket)
        replies = asyncio.create_task(self._copy(there, writer))
        try:
            while data := await reader.read(65536):
                if self.armed and b"COMMIT" in data:
                    self.armed = False
                    self.cuts += 1
                    replies.cancel()
                    await asyncio.wait([replies])
                    if self.arrives:
                        back.write(data)
                        await there.read(1)  # Postgres has answered: it is committed
                    break
                back.write(data)
        finally:
            replies.cancel()
            back.close()
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def through(cut: Cut, url: str) -> AsyncIterator[Database]:
    """The database by way of the proxy, over TCP."""
    parsed = make_url(url)
    socket = f"{parsed.query['host']}/.s.PGSQL.{parsed.port or parsed.query.get('port', 5432)}"
    server = await asyncio.start_server(lambda r, w: cut.meet(r, w, socket), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    near = parsed.set(host="127.0.0.1", port=port, query={})
    async with server, engine.connect(near.render_as_string(hide_password=False)) as database:
        yield database


@pytest.mark.parametrize("arrives", [False, True], ids=["lost before COMMIT", "lost after COMMIT"])
async def test_a_keyed_unit_survives_a_connection_cut_at_its_commit(
    database: Database, database_url: str, token_id: int, arrives: bool
) -> None:
    pets, cut = await make(database), Cut(arrives=arrives)
    async with through(cut, database_url) as far:
        for n in range(3):
            cut.armed = True
            outcome = await write(far, creating(pets, f"cat{n}"), Created, Keyed(token_id, f"k{n}", "f", HASH))
            assert len(outcome.labels) == 1
    assert cut.cuts == 3
    assert await made(database, pets) == ["cat0", "cat1", "cat2"]
    assert await wrong(database, pets.id) == []


@pytest.mark.parametrize("arrives", [False, True], ids=["lost before COMMIT", "lost after COMMIT"])
async def test_without_a_key_a_cut_commit_is_reported_and_never_repeated(
    database: Database, database_url: str, arrives: bool
) -> None:
    pets, cut = await make(database), Cut(arrives=arrives)
    async with through(cut, database_url) as far:
        cut.armed = True
        with pytest.raises(Unavailable, match="check whether the mutation took effect"):
            await write(far, creating(pets, "cat"), Created)
    assert await made(database, pets) == (["cat"] if arrives else [])


async def test_a_database_that_is_not_there_is_reported_in_time() -> None:
    async with engine.connect(NO_DATABASE) as database, asyncio.timeout(TIMEOUT):
        with pytest.raises(Unavailable):
            await write(database, creating(DatasetRows(1, []), "cat"), Created)


@pytest.mark.parametrize("error", [RetryTransaction(), NoConnection()])
async def test_work_that_meets_others_every_time_is_given_up(database: Database, error: Exception) -> None:
    async def work(session: AsyncSession) -> None:
        raise error

    with pytest.raises(Unavailable, match="try again in a moment"):
        await write(database, work, type(None))


async def test_other_errors_of_the_database_are_not_repeated(database: Database) -> None:
    times = 0

    async def work(session: AsyncSession) -> None:
        nonlocal times
        times += 1
        await sql.run(session, "SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await write(database, work, type(None))
    assert times == 1
