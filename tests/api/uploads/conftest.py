"""A dataset on a local disk and one in a bucket, for tests of uploads."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.settings import Settings
from db.postgres.engine import Database
from db.storage import LocalStore
from db.storage.s3 import S3Store
from tests import s3
from tests.api.test_s3 import configured
from tests.api.uploads.upload_client import NUMBERS, UploadClient, upload_client


@pytest.fixture(params=["local", "s3"])
async def uploader(
    request: pytest.FixtureRequest, settings: Settings, database_url: str, database: Database, tmp_path: Path
) -> AsyncIterator[UploadClient]:
    if request.param == "s3":
        endpoint, bucket = request.getfixturevalue("s3_endpoint"), f"uploads-{next(NUMBERS)}"
        async with s3.connected(endpoint, bucket) as opened:
            in_bucket, store = configured(database_url, tmp_path, endpoint), S3Store(opened, bucket, "in/")
            async with upload_client(in_bucket, store, f"s3://{bucket}/in/", database) as uploader:
                yield uploader
        return
    root = tmp_path / "in"
    root.mkdir()
    async with upload_client(settings, LocalStore(root), str(root), database) as uploader:
        yield uploader
