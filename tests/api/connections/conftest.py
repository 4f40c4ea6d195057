"""A server with the toy schema."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.connections.raw_connection import TIMEOUT
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, worker=False)


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    async with serving(settings, ToySchema()) as url:
        yield url


@pytest.fixture
async def client(url: str, database: Database) -> Client:
    return Client(url, await token(database), timeout=TIMEOUT)
