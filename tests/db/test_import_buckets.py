"""Imports from buckets: what is read of them, and what they do when these fail."""

import asyncio
import io
import itertools
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from db.postgres.engine import Database
from db.storage.s3 import S3Store
from tests import s3
from tests.db import dataset_fixture
from tests.db.annotation_import_fixture import AnnotationImports, counted
from tests.db.annotation_imports.test_import_images import IMAGES, LABELS, shard
from tests.fake_s3 import BUCKET, STALL, Answerer, Request, error, fake_s3
from tests.waiting import TIMEOUT

BUCKETS = itertools.count()
MIB = 1 << 20
CSV = b"path,label\n1.png,cat\n2.png,dog\n"


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


async def test_images_go_from_one_bucket_into_another(database: Database, s3_endpoint: str, tmp_path: Path) -> None:
    source, target = f"source-{next(BUCKETS)}", f"target-{next(BUCKETS)}"
    async with s3.connected(s3_endpoint, source) as opened:
        await opened.client.create_bucket(Bucket=target)
        files, images = S3Store(opened, source, ""), S3Store(opened, target, "in/")
        for path, data in IMAGES.items():
            await files.write(f"folder/{path}", data)
        await files.write("set.zip", zipped(IMAGES))
        await files.write("set.tar", shard(IMAGES, "w"))
        for name in ("folder", "set.zip", "set.tar"):
            dataset = await dataset_fixture.make(database, images)
            await dataset.do(
                "UPDATE dataset SET input_path = $1 WHERE id = $2", f"s3://{target}/in/", dataset.dataset_id
            )
            importer = AnnotationImports(dataset, tmp_path, s3=opened)
            job = await importer.load(f"s3://{source}/{name}", images="STORE")
            assert (job["status"], counted(job)) == ("SUCCEEDED", {"scanned": 3, "added": 3, "labeled": 3})
            assert await dataset.labels() == LABELS
        stored = {path: await images.read(path) for path in IMAGES}
        assert stored == IMAGES
        assert len([found async for page in images.pages() for found in page.objects]) == len(IMAGES)


@asynccontextmanager
async def from_bucket(
    database: Database, folder: Path, objects: dict[str, bytes], answer: Answerer, **timeouts: Any
) -> AsyncIterator[AnnotationImports]:
    """Two samples in a directory, and a bucket with these objects."""
    (folder / "images").mkdir()
    async with fake_s3(objects, answer) as server, s3.connected(server.endpoint, **timeouts) as opened:
        dataset = await dataset_fixture.local(database, folder / "images")
        importer = AnnotationImports(dataset, folder, s3=opened)
        importer.put("1.png", "2.png")
        await dataset.sync()
        yield importer


async def test_of_an_archive_in_a_bucket_only_what_is_needed_is_read(database: Database, tmp_path: Path) -> None:
    read: list[int] = []

    def counting(request: Request) -> None:
        if request.operation == "get":
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            read.append(int(last) - int(first) + 1)

    objects = {"set.zip": zipped({"1.png": bytes(9 * MIB), "labels.csv": CSV, "2.png": bytes(9 * MIB)})}
    async with from_bucket(database, tmp_path, objects, counting) as importer:
        job = await importer.load(f"s3://{BUCKET}/set.zip")
        assert (job["status"], job["matched"]) == ("SUCCEEDED", 2)
    assert 0 < sum(read) < 6 * MIB


def failing(share: int) -> Answerer:
    """Every so many reads of an object fail."""
    return lambda request: (
        error(503, "SlowDown") if request.operation == "get" and request.number % share == 0 else None
    )


async def test_a_bucket_that_fails_now_and_then_is_asked_again(database: Database, tmp_path: Path) -> None:
    async with from_bucket(database, tmp_path, {"set.zip": zipped({"labels.csv": CSV})}, failing(2)) as importer:
        job = await importer.load(f"s3://{BUCKET}/set.zip")
    assert (job["status"], job["updated"]) == ("SUCCEEDED", 2)


async def test_a_bucket_that_fails_for_ever_fails_the_import_in_a_sentence(database: Database, tmp_path: Path) -> None:
    async with from_bucket(database, tmp_path, {"set.zip": zipped({"labels.csv": CSV})}, failing(1)) as importer:
        job = await importer.load(f"s3://{BUCKET}/set.zip")
        assert (job["status"], job["error_code"]) == ("FAILED", "STORAGE_ERROR")
        assert "secret" not in job["error_message"]
        assert await importer.dataset.labels() == {"1.png": [], "2.png": []}


async def test_an_import_from_a_bucket_that_does_not_answer_stops_when_it_is_to(
    database: Database, tmp_path: Path
) -> None:
    asked = asyncio.Event()

    def stalling(request: Request) -> bytes | None:
        if request.operation == "get" and request.headers["range"] != "bytes=0-511":  # the head is known
            asked.set()
            return STALL
        return None

    objects = {"set.zip": zipped({"labels.csv": CSV})}
    async with from_bucket(database, tmp_path, objects, stalling, read=10 * TIMEOUT, deadline=10 * TIMEOUT) as importer:
        work = asyncio.ensure_future(importer.work(await importer.start(f"s3://{BUCKET}/set.zip")))
        await asked.wait()
        work.cancel()
        async with asyncio.timeout(TIMEOUT):  # less than the bucket has
            await asyncio.wait([work])
        assert work.cancelled()
