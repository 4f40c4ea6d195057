"""Tokens: shown once, kept as a hash, ended at once."""

from datetime import UTC, datetime, timedelta

import pytest

from db.errors import AlreadyExists, Invalid, NotFound
from db.identity import tokens
from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database


async def made(database: Database, name: str = "ann", scope: Scope = Scope.LABEL, **more: object) -> str:
    async with database.writing() as session:
        return await tokens.create(session, name=name, scope=scope, **more)  # type: ignore[arg-type]


async def verified(database: Database, text: str) -> Identity | None:
    async with database.reading() as connection:
        return await tokens.verify(connection, text)


async def test_a_token_tells_who_it_is(database: Database) -> None:
    text = await made(database, dataset_ids=[3, 1, 3])
    identity = await verified(database, text)
    assert identity is not None
    assert (identity.name, identity.scope, identity.dataset_ids) == ("ann", Scope.LABEL, frozenset({1, 3}))
    assert identity.sees(3)
    assert not identity.sees(2)
    assert identity.may(Scope.READ)
    assert not identity.may(Scope.MANAGE)
    async with database.reading() as connection:
        assert await tokens.by_id(connection, identity.token_id) == identity


async def test_no_dump_of_the_database_holds_a_token(database: Database) -> None:
    text = await made(database)
    async with database.reading() as connection:
        row = await connection.fetchrow("SELECT token::text, hash FROM token")
    assert row is not None
    assert text not in row["token"]
    assert text.encode() not in row["hash"]
    assert len(text) == 46


@pytest.mark.parametrize("text", ["", "lg_", "lg_" + "a" * 43, "x" * 10_000, "lg_" + "a" * 42 + "\n", "lg_" + "é" * 43])
async def test_nothing_else_is_a_token(database: Database, text: str) -> None:
    await made(database)
    assert await verified(database, text) is None


async def test_an_expired_token_is_none(database: Database) -> None:
    now = datetime.now(UTC)
    assert await verified(database, await made(database, "past", expires_at=now - timedelta(seconds=1))) is None
    assert await verified(database, await made(database, "future", expires_at=now + timedelta(hours=1))) is not None


async def test_a_revoked_token_is_none_and_its_name_is_free_again(database: Database) -> None:
    text = await made(database)
    async with database.writing() as session:
        assert await tokens.revoke(session, "ann") == 1
    assert await verified(database, text) is None
    assert await verified(database, await made(database)) is not None


async def test_a_name_serves_one_token_at_a_time(database: Database) -> None:
    await made(database)
    with pytest.raises(AlreadyExists):
        await made(database)


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "x" * 65, "\x7f"])
async def test_refuses_a_name_that_could_not_be_shown(database: Database, name: str) -> None:
    with pytest.raises(Invalid):
        await made(database, name)


async def test_revokes_by_prefix_and_says_when_there_is_nothing(database: Database) -> None:
    text = await made(database)
    async with database.writing() as session:
        assert await tokens.revoke(session, text[: tokens.PREFIX]) == 1
        with pytest.raises(NotFound):
            await tokens.revoke(session, "ann")


async def test_lists_every_token_newest_first(database: Database) -> None:
    await made(database, "ann")
    await made(database, "bob", Scope.MANAGE)
    async with database.writing() as session:
        await tokens.revoke(session, "ann")
        listed = await tokens.list_all(session)
    assert [(each.name, each.scope, each.revoked_at is None) for each in listed] == [
        ("bob", "manage", True),
        ("ann", "label", False),
    ]
