from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.schema.mutation_fixture import Stage, open_stage
from tests.schema.read_fixture import Library, open_library


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> Stage:
    return await open_stage(database, tmp_path)


@pytest.fixture
async def library(database: Database) -> Library:
    return await open_library(database)
