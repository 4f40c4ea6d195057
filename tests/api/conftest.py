"""A whole server, with a worker, that reads what is below the test's own folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.settings import Settings
from db.postgres.engine import Database
from tests.client import Client, serving, token
from tests.waiting import SERVER_TIMEOUTS


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        timeouts=SERVER_TIMEOUTS,
        data_dir=tmp_path / "data",
        allowed_roots=(tmp_path.resolve(),),
    )


@pytest.fixture
async def client(settings: Settings, database: Database) -> AsyncIterator[Client]:
    async with serving(settings) as url:
        yield Client(url, await token(database, name="ann"))
