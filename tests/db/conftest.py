from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.db import world
from tests.db.import_fixture import Desk
from tests.db.world import World


@pytest.fixture(params=["local", "memory"])
async def place(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> World:
    return await (world.local(database, tmp_path) if request.param == "local" else world.memory(database))


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Desk:
    (tmp_path / "images").mkdir()
    return Desk(await world.local(database, tmp_path / "images"), tmp_path)
