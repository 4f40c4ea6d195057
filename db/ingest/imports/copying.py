"""Copying an image from elsewhere below the input path: the object first, its row after, and never over another."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from db.errors import Invalid, StorageError
from db.formats import images
from db.formats.images import ImageLimits
from db.formats.paths import stem
from db.ingest import damage
from db.ingest.images import MIB, InspectedImage
from db.ingest.imports.locations import ReadableLocations
from db.jobs import Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store

SQL: Final = sql.load(__file__)

AT_ONCE: Final = 4  # images in memory at once
MAX_NAMES: Final = 1_000  # tried for an image whose own is taken


@dataclass(frozen=True, slots=True)
class Copier:
    database: Database
    job: Claim
    store: Store
    locations: ReadableLocations
    limits: ImageLimits
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def bring(self, origin: str, path: str) -> tuple[str, InspectedImage]:
        """The image at `origin`, and the path that it has now: that of an object with its very content, or of a new
        one, such as `a-1.jpg`. Raises StorageError, Invalid."""
        front = stem(path)
        async with self.slots:
            data = await self._read(origin)
            facts = await asyncio.to_thread(images.facts, data, self.limits.pixels)
            is_damaged = await damage.is_cut(data, self.limits)
            for number in range(MAX_NAMES):
                candidate = f"{front}-{number}{path[len(front) :]}" if number else path
                if await self._is_at(candidate, path, data):
                    [head] = await self.store.heads([candidate], length=1)
                    if isinstance(head, StorageError):
                        raise head
                    image = InspectedImage.of(head, facts)
                    return candidate, image.as_damaged() if is_damaged else image
        raise ObjectExists

    async def _read(self, origin: str) -> bytes:
        store, name = await self.locations.open(origin)
        try:
            data = await store.read(name, length=self.limits.size + 1)
        except RootMissing as away:  # the root of its location, not the dataset's own
            raise StorageError(away.message) from away
        if len(data) > self.limits.size:
            raise Invalid(f"Images of at most {self.limits.size / MIB:g} MiB are taken.", code="FILE_TOO_LARGE")
        return data

    async def _is_at(self, candidate: str, path: str, data: bytes) -> bool:
        """Whether the image is there now: written, or found. It is not written where another line, a deletion or an
        upload has the path; nor where there is a sample, though its file may be gone."""
        async with self.database.reading() as connection:
            ids = {"job_id": self.job.id, "dataset_id": self.job.dataset_id}
            rows = await sql.run(connection, SQL.claims, **ids, path=candidate)
        if sum(not row["is_sample"] for row in rows) > (candidate == path):
            return False
        if not any(row["is_sample"] for row in rows):
            try:
                await self.store.write(candidate, data)
            except ObjectExists:
                pass
            else:
                return True
        try:
            return await self.store.read(candidate, length=len(data) + 1) == data
        except ObjectMissing:
            return False
