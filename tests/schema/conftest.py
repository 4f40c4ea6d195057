from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from db.postgres import engine
from db.postgres.engine import Database
from tests.conftest import Databases
from tests.schema.annotation_fixture import create_box_client
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.schema.read_fixture import ReadFixture, fill, open_reads
from tests.waiting import LIMITS


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    return await create_client(database, tmp_path)


@pytest.fixture
async def boxes(database: Database, tmp_path: Path) -> DatasetClient:
    """For annotations with shapes."""
    return await create_box_client(database, tmp_path)


@pytest.fixture
async def reads(reads_url: str) -> AsyncIterator[ReadFixture]:
    """In a database of its own."""
    async with engine.connect(reads_url, LIMITS) as database:
        yield await open_reads(database)


@pytest.fixture
def reads_url(databases: Databases, server_url: str, template: str) -> Iterator[str]:
    with databases.fresh(server_url, databases.prepared(server_url, template, fill)) as url:
        yield url
