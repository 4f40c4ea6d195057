"""One server for all tests of a file, on a thread of its own; each test gets a token of its own."""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from sqlmodel import delete

from api.settings import Limits, Settings, Timeouts
from db.engine import Database
from db.models import Token
from tests.api.graphql.toy import Toy
from tests.client import Client, serving, token
from tests.conftest import Servers


@dataclass(slots=True)
class Door:
    """A server with the toy schema, small limits and short patience."""

    settings: Settings
    url: str = ""
    _open: threading.Event = field(default_factory=threading.Event)
    _closing: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with serving(self.settings, Toy()) as self.url:
            self._open.set()
            await asyncio.to_thread(self._closing.wait)

    def wait(self) -> None:
        assert self._open.wait(10)

    def close(self) -> None:
        self._closing.set()


@pytest.fixture(scope="module")
def door(servers: Servers, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Door]:
    server_url, template = servers.url("default"), servers.template("default")
    name = f"test_{os.getpid()}_{request.node.path.stem.replace('_', '')}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    door = Door(small(url, tmp_path_factory.mktemp("door")))
    thread = threading.Thread(target=door.run)
    thread.start()
    try:
        door.wait()
        yield door
    finally:
        door.close()
        thread.join(10)
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


def small(database_url: str, folder: Path) -> Settings:
    limits = Limits(body=64_000, subscriptions=3, sockets=4)
    timeouts = Timeouts(header=0.5, body=0.5, query=0.5, socket_init=0.4)
    return Settings(database_url=database_url, data_dir=folder, worker=False, limits=limits, timeouts=timeouts)


@pytest.fixture
def database_url(door: Door) -> str:
    return door.settings.database_url or ""


@pytest.fixture
def settings(door: Door) -> Settings:
    return door.settings


@pytest.fixture
def url(door: Door) -> str:
    return door.url


@pytest.fixture
async def client(url: str, database: Database) -> Client:
    """Signed in as ann, who may do everything."""
    async with database.writing() as session:
        await session.exec(delete(Token))
    return Client(url, await token(database, name="ann"))


@pytest.fixture
def stranger(url: str) -> Client:
    return Client(url)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
