"""Datasets in directories and in S3, and their exports, with what these contain."""

import hashlib
import io
import itertools
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import jobs
from db.exports import job as exports
from db.exports import requests
from db.exports.requests import Request, StartedExport
from db.formats.datasets.records import Options
from db.history import versions
from db.history.transactions import write
from db.identity.tokens import Identity
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests import s3
from tests.db.dataset_fixture import WORKER
from tests.db.dataset_rows import ANN
from tests.db.test_imports_back import House

SECRET = b"of the server"
NUMBERS = itertools.count()


@dataclass(slots=True)
class ExportHouse(House):
    folder: Path  # of temporary files

    async def request(self, dataset: int, format_: str, *, by: Identity = ANN, **more: Any) -> int:
        """The job."""
        of_request = {name: more.pop(name) for name in ("images", "version_id", "filter", "base") if name in more}
        asked = Request(format_, options=Options(**more), **of_request)
        started = await write(
            self.database, lambda session: requests.request(session, dataset, asked, by=by), StartedExport
        )
        return started.job

    async def claimed(self, job: int) -> jobs.Claim:
        claim = await jobs.claim(self.database, WORKER)
        assert claim is not None
        assert claim.id == job
        return claim

    async def work(self, job: int) -> None:
        claim = await self.claimed(job)
        await exports.run(self.database, claim, self.stores, SECRET, self.folder)
        await jobs.finish(self.database, claim, "SUCCEEDED")

    async def export(self, dataset: int, format_: str, **more: Any) -> dict[str, bytes]:
        """What the files contain; of archives, by the path inside."""
        job = await self.request(dataset, format_, **more)
        await self.work(job)
        return unpacked(await self.files(job))

    async def files(self, job: int) -> dict[str, bytes]:
        """The files as they are noted, whose size and hash are right."""
        [export] = await self.rows("SELECT * FROM export WHERE job_id = $1", job)
        store, found = self.stores.open(export["location"]), {}
        for row in await self.rows("SELECT * FROM export_file WHERE job_id = $1 ORDER BY id", job):
            data = await store.read(row["object"])
            assert (len(data), hashlib.sha256(data).hexdigest()) == (row["size"], row["sha256"])
            found[row["path"]] = data
        return found

    async def objects(self, location: str) -> dict[str, bytes]:
        """Everything below a location."""
        store = self.stores.open(location)
        paths = [each.path async for page in store.pages() for each in page.objects]
        return {path: await store.read(path) for path in sorted(paths)}

    async def warnings(self, job: int) -> dict[str, tuple[str, int]]:
        rows = await self.rows("SELECT path, message, count FROM job_warning WHERE job_id = $1 ORDER BY id", job)
        return {row["message"]: (row["path"], row["count"]) for row in rows}

    async def label(self, dataset: int, name: str, *paths: str) -> None:
        rows = await self.rows("SELECT id FROM sample WHERE dataset_id = $1 AND path = ANY($2)", dataset, list(paths))
        selected, how = (
            Selection(ids=[row["id"] for row in rows]),
            LabelWith(labels=[name], mode="SET", create_missing=True),
        )
        await write(self.database, lambda session: label(session, dataset, selected, how, by=ANN), object)

    async def version(self, dataset: int) -> int:
        made = await write(
            self.database, lambda session: versions.publish(session, dataset, by=ANN), versions.Published
        )
        await self.do("DELETE FROM job WHERE kind = 'MANIFEST'")
        return made.version


def unpacked(files: dict[str, bytes]) -> dict[str, bytes]:
    """Only what each of several archives has in front comes more than once."""
    found: dict[str, bytes] = {}
    for name, data in files.items():
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                content = {info.filename: archive.read(info) for info in archive.infolist()}
        elif name.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                content = {info.name: file.read() for info in archive if (file := archive.extractfile(info))}
        else:
            content = {name: data}
        assert all(found[path] == data for path, data in content.items() if path in found)
        found |= content
    return found


def local_house(database: Database, tmp_path: Path) -> ExportHouse:
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
    return ExportHouse(database, Stores(AllowedLocations((tmp_path,))), f"{tmp_path}/", tmp_path / "spool")


@asynccontextmanager
async def s3_house(database: Database, endpoint: str, tmp_path: Path) -> AsyncIterator[ExportHouse]:
    bucket = f"exports-{next(NUMBERS)}"
    async with s3.connected(endpoint, bucket) as opened:
        stores = Stores(AllowedLocations(s3=True), opened)
        yield ExportHouse(database, stores, f"s3://{bucket}/", tmp_path / "spool")
