"""A server of files, and a dataset for each test."""

import itertools
import time
from collections.abc import Iterator

import pytest

from api.settings import Limits, Settings
from db.identity.urls import Signer
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from tests.api.files.gallery import SECRET, Gallery, identified
from tests.api.running_server import RunningServer, opened
from tests.client import Client, token
from tests.conftest import Databases, Servers
from tests.waiting import SERVER_TIMEOUTS

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("images").resolve()

    def settings(url: str) -> Settings:
        data = folder / "data"
        return Settings(
            database_url=url,
            timeouts=SERVER_TIMEOUTS,
            data_dir=data,
            allowed_roots=(folder,),
            secret=SECRET,
            worker=False,
            limits=Limits(image_side=20_000),
        )

    with opened(servers, databases, settings) as server:
        yield server


@pytest.fixture
def database_url(server: RunningServer) -> str:
    return server.database_url


@pytest.fixture
async def gallery(server: RunningServer, database: Database) -> Gallery:
    number = next(NUMBERS)
    root = server.settings.allowed_roots[0] / str(number)
    root.mkdir()
    text = await token(database, name=f"ann {number}")
    async with database.writing() as session:
        connection = await connection_of(session)
        dataset_id = await connection.fetchval(
            "INSERT INTO dataset (name, type, input_path, created_by) VALUES ($1, 'IMAGE_CLASSIFICATION', $2, 'ann')"
            " RETURNING id",
            f"d{number}",
            str(root),
        )
    identity = await identified(database, text)
    links = Signer(SECRET.encode(), 3_600).links("", identity.token_id, time.time())
    return Gallery(Client(server.url, text), database, root, dataset_id, links)
