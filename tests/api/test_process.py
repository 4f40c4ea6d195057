"""What is around every command's work: the listening address, the owner's token."""

import asyncio
import socket
from pathlib import Path

import pytest

from api import process
from api.settings import Settings
from db.identity import tokens
from db.postgres import engine
from tests.waiting import SERVER_TIMEOUTS


async def silent(_url: str) -> None:
    """Announces nothing."""


async def test_a_port_in_use_is_reported_in_a_sentence(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(database_url=database_url, port=taken.getsockname()[1])
        with pytest.raises(process.CannotListen, match=r"Address already in use\. Choose another"):
            await process.serve(settings, asyncio.Event(), silent)


async def test_the_owner_keeps_their_token_from_start_to_start(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path)
    first = await process.owner_token(settings)
    assert await process.owner_token(settings) == first
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mishap", ["lost", "revoked"])
async def test_the_owner_gets_another_token_when_the_first_is(mishap: str, database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path)
    first = await process.owner_token(settings)
    async with engine.connect(database_url) as database:
        if mishap == "lost":
            (tmp_path / "token").unlink()
        else:
            async with database.writing() as session:
                await tokens.revoke(session, process.OWNER)
        second = await process.owner_token(settings)
        assert second != first
        async with database.reading() as connection:
            assert await tokens.verify(connection, first) is None
            identity = await tokens.verify(connection, second)
    assert identity is not None
    assert identity.scope == tokens.Scope.MANAGE
