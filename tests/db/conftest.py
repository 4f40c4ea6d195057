from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture
from tests.db.import_fixture import ImportFixture


@pytest.fixture(params=["local", "memory"])
async def dataset(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> DatasetFixture:
    return await (
        dataset_fixture.local(database, tmp_path) if request.param == "local" else dataset_fixture.memory(database)
    )


@pytest.fixture
async def importer(database: Database, tmp_path: Path) -> ImportFixture:
    (tmp_path / "images").mkdir()
    return ImportFixture(await dataset_fixture.local(database, tmp_path / "images"), tmp_path)
