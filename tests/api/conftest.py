from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.settings import Limits, Settings, Timeouts
from db.engine import Database
from tests.api.toy import Toy
from tests.client import Client, serving, token


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Of a server with small limits and short patience."""
    limits = Limits(body=64_000, subscriptions=3, sockets=4)
    timeouts = Timeouts(header=0.5, body=0.5, query=0.5, socket_init=0.4)
    return Settings(database_url=database_url, data_dir=tmp_path, worker=False, limits=limits, timeouts=timeouts)


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    """A server with the toy schema."""
    async with serving(settings, Toy()) as url:
        yield url


@pytest.fixture
async def client(url: str, database: Database) -> Client:
    return Client(url, await token(database, name="ann"))


@pytest.fixture
def stranger(url: str) -> Client:
    return Client(url)
