"""Bringing an image from elsewhere below the input path: the object first, its row after, and never over another."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from db.errors import Invalid, StorageError
from db.formats import images
from db.formats.images import ImageLimits
from db.formats.paths import stem
from db.ingest import damage
from db.ingest.imports.locations import ReadableLocations
from db.ingest.sync.inspection import MIB, Image
from db.jobs import Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store

SQL: Final = sql.load(__file__, "merging.sql")

AT_ONCE: Final = 4  # images in memory at once
MOST_NAMES: Final = 1_000  # tried for an image whose own is taken


@dataclass(frozen=True, slots=True)
class Copier:
    database: Database
    job: Claim
    store: Store
    reach: ReadableLocations
    caps: ImageLimits
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def bring(self, origin: str, path: str) -> tuple[str, Image]:
        """The image at `origin`, and the path that it has now: that of an object with its very content, or of a new
        one. Raises StorageError, Invalid."""
        async with self.slots:
            data = await self._data(origin)
            facts = await asyncio.to_thread(images.facts, data, self.caps.pixels)
            is_damaged = await damage.is_cut(data, self.caps)
            for candidate in _names(path):
                if await self._settled(candidate, path, data):
                    [head] = await self.store.heads([candidate], length=1)
                    if isinstance(head, StorageError):
                        raise head
                    image = Image.read(head, facts)
                    return candidate, image.as_damaged() if is_damaged else image
        raise ObjectExists

    async def _data(self, origin: str) -> bytes:
        store, name = await self.reach.open(origin)
        try:
            data = await store.read(name, length=self.caps.size + 1)
        except RootMissing as away:  # of where it lies, not of the dataset's own
            raise StorageError(away.message) from away
        if len(data) > self.caps.size:
            raise Invalid(f"Images of at most {self.caps.size / MIB:g} MiB are taken.", code="FILE_TOO_LARGE")
        return data

    async def _settled(self, candidate: str, path: str, data: bytes) -> bool:
        """Whether the image lies there now: put there, or found. Not where another line, a deletion or an upload means
        the path; and where a sample is nothing is put, though its file may be gone."""
        async with self.database.reading() as connection:
            rows = await connection.fetch(SQL.others, self.job.id, self.job.dataset_id, candidate)
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


def _names(path: str) -> Iterator[str]:
    """`a.jpg`, `a-1.jpg`, `a-2.jpg` …"""
    front = stem(path)
    for number in count():
        if number == MOST_NAMES:
            return
        yield path if number == 0 else f"{front}-{number}{path[len(front) :]}"
