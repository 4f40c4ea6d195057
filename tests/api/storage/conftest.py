"""Storage that fails in the middle, for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.ingest.sync import stages
from db.postgres.engine import Database
from tests.api.storage.unreliable import UnreliableStorage, small_pages, unreliable_storage


@pytest.fixture
async def remote(
    database_url: str, database: Database, tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[UnreliableStorage]:
    """Small pages and batches, for many boundaries with few files; and a client that does not wait for seconds."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.02)
    monkeypatch.setattr("api.configuration.S3Config", small_pages)
    monkeypatch.setattr(stages, "BATCH", 40)
    async with unreliable_storage(database_url, database, tmp_path, s3_endpoint) as made:
        yield made
