"""One server with the toy schema for all tests of a file; each test gets a token of its own."""

from collections.abc import Iterator

import pytest
from sqlmodel import delete

from api.settings import Limits, Settings
from db.postgres.engine import Database
from db.postgres.models import Token
from tests.api.running_server import RunningServer, opened
from tests.client import Client, token
from tests.conftest import Databases, Servers
from tests.waiting import SERVER_TIMEOUTS


@pytest.fixture(scope="module")
def server(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With small limits."""
    limits = Limits(body=64_000, subscriptions=3, sockets=4)
    folder = tmp_path_factory.mktemp("server")

    def settings(url: str) -> Settings:
        return Settings(database_url=url, data_dir=folder, worker=False, limits=limits, timeouts=SERVER_TIMEOUTS)

    with opened(servers, databases, settings) as server:
        yield server


@pytest.fixture
def database_url(server: RunningServer) -> str:
    return server.database_url


@pytest.fixture
def settings(server: RunningServer) -> Settings:
    return server.settings


@pytest.fixture
def url(server: RunningServer) -> str:
    return server.url


@pytest.fixture
async def client(url: str, database: Database) -> Client:
    """Signed in as ann, who may do everything."""
    async with database.writing() as session:
        await session.exec(delete(Token))
    return Client(url, await token(database, name="ann"))


@pytest.fixture
def stranger(url: str) -> Client:
    return Client(url)
