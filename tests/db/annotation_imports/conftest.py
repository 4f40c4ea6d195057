from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.db.annotation_import_fixture import AnnotationImports, annotation_imports


@pytest.fixture
async def importer(database: Database, tmp_path: Path) -> AnnotationImports:
    return await annotation_imports(database, tmp_path)


@pytest.fixture
async def detection(importer: AnnotationImports) -> AnnotationImports:
    """The same, of boxes."""
    await importer.dataset.set_up(type="OBJECT_DETECTION")
    return importer
