from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.schema.annotation_fixture import create_box_client
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.schema.read_fixture import ReadFixture, open_reads


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    return await create_client(database, tmp_path)


@pytest.fixture
async def boxes(database: Database, tmp_path: Path) -> DatasetClient:
    """For annotations with shapes."""
    return await create_box_client(database, tmp_path)


@pytest.fixture
async def reads(database: Database) -> ReadFixture:
    return await open_reads(database)
