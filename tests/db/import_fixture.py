"""A dataset and manifests, for tests of imports."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import jobs
from db.datasets import check
from db.errors import DomainError
from db.formats.images import DEFAULT_LIMITS, ImageLimits
from db.ingest import imports, job_requests
from db.ingest.imports import Options
from db.storage import Stores
from db.storage.locations import AllowedLocations
from db.storage.s3 import S3
from tests.db.dataset_fixture import WORKER, DatasetFixture, image_bytes

CAT = {
    "name": "cat",
    "type": "modelarts/image_classification",
    "annotated-by": "human/ann/ann",
    "creation-time": "2019-02-12 17:54:44",
    "property": {},
}
DOG = CAT | {"name": "dog", "annotated-by": "human/bob/bob"}


@dataclass(slots=True)
class ImportJobs:
    """A dataset whose input path is `folder`/images, and files in `folder` that jobs import."""

    dataset: DatasetFixture
    folder: Path
    limits: ImageLimits = DEFAULT_LIMITS
    s3: S3 | None = None

    @property
    def stores(self) -> Stores:
        return Stores(AllowedLocations((self.folder,), s3=self.s3 is not None), self.s3)

    async def start(self, path: Path | str, **options: Any) -> int:
        async with self.dataset.database.writing() as session:
            values = Options(path=str(path), **options)
            return await job_requests.start(session, self.dataset.dataset_id, values, requested_by="ann")

    async def work(self, job_id: int) -> dict[str, Any]:
        claim = await jobs.claim(self.dataset.database, WORKER)
        assert claim is not None
        assert claim.id == job_id
        try:
            await imports.run(self.dataset.database, claim, self.stores, self.limits)
            await jobs.finish(self.dataset.database, claim, "SUCCEEDED")
        except DomainError as error:
            await jobs.finish(self.dataset.database, claim, "FAILED", error)
        return await self.dataset.job(job_id)

    async def load(self, path: Path | str, **options: Any) -> dict[str, Any]:
        job = await self.work(await self.start(path, **options))
        async with self.dataset.database.reading() as connection:
            assert await check.recount(connection, self.dataset.dataset_id) == []
        return job


@dataclass(slots=True)
class ImportFixture(ImportJobs):
    """Of manifests."""

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def put(self, *paths: str, root: Path | None = None) -> None:
        for path in paths:
            target = (root or self.images) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(image_bytes())

    def manifest(self, *lines: Any, name: str = "V001.manifest", root: Path | None = None) -> Path:
        """A line is text, bytes, or an object whose `source` is below the images."""
        written = b""
        for line in lines:
            if isinstance(line, dict):
                source = line.get("source", "")
                if not source.startswith(("/", "s3:", "obs:", "file:", "content:")):
                    line = line | {"source": f"{root or self.images}/{source}"}
                line = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            written += (line.encode() if isinstance(line, str) else line) + b"\n"
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(written)
        return file

    async def start(self, path: Path | str, **options: Any) -> int:
        if "source_root" in options:
            options["source_root"] = imports.folder_of(options["source_root"])
        return await ImportJobs.start(self, path, **options)

    async def warnings(self, job: dict[str, Any]) -> list[tuple[str, str]]:
        return await self.dataset.warnings(job["id"])

    async def annotations(self) -> list[tuple[Any, ...]]:
        rows = await self.dataset.rows(
            """SELECT s.path, l.name, a.labeled_by, to_char(a.labeled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                      a.origin, a.confidence, a.confirmed, a.shape::text
            FROM annotation a JOIN sample s ON s.id = a.sample_id JOIN label l ON l.id = a.label_id
            WHERE s.dataset_id = $1 ORDER BY s.path, l.name, a.id""",
            self.dataset.dataset_id,
        )
        return [tuple(row) for row in rows]


def counted(job: dict[str, Any]) -> dict[str, int]:
    return {name: job[name] for name in ("scanned", "added", "updated", "labeled", "skipped")}
