"""Images that an import contains, brought below the input path: checked and written as uploads are, never over another
file. The line that names an image, with the path that it gets, is staged before its file is written; so whoever dies in
between finds it by its content, and writes nothing twice. No row is written, and no lock is held."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from db.concurrency_limits import gather_or_cancel
from db.errors import DomainError, StorageError
from db.formats.datasets.reading import Contained, ImageRecord
from db.formats.images import ImageLimits
from db.ingest.entry import NoticeKind
from db.ingest.images import InspectedImage, as_if_written, object_with, write_new
from db.ingest.imports.files.images import ImageContents
from db.ingest.uploads import files
from db.ingest.uploads.parts import PartsChanged
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectMissing, Store

SQL: Final = sql.load(__file__)
AT_ONCE: Final = 4  # images in memory
RESERVED: Final = "A file is being deleted or uploaded at this path; import again."
DIFFERS: Final = "Another file is at this path, and is kept; the image of the import was left out."


@dataclass(frozen=True, slots=True)
class BroughtImage:
    """The path that the image has, and the image; or why it is left out."""

    path: str
    image: InspectedImage | None = None
    refused: str = ""
    refused_as: NoticeKind = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class ContainedImages:
    """Of one import. A dry run reads, checks and compares, and writes nothing."""

    database: Database
    dataset_id: int
    store: Store
    contents: ImageContents
    limits: ImageLimits
    dry_run: bool
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def bring(self, lines: Sequence[tuple[asyncpg.Record, ImageRecord]]) -> list[BroughtImage]:
        """Of lines whose images the import contains. Raises StorageError."""
        targets = [row["path"] if row["matched"] == "PATH" else row["candidates"][0] for row, _ in lines]
        async with self.database.reading() as connection:
            rows = await sql.run(connection, SQL.known, dataset_id=self.dataset_id, paths=targets)
        known = {row["path"]: row["is_sample"] for row in rows}
        work = []
        for target, (row, record) in zip(targets, lines, strict=True):
            assert record.contained is not None
            work.append(self._bring(target, row["path"], record.contained, is_sample=known.get(target)))
        return await gather_or_cancel(work)

    async def _bring(
        self, target: str, similar: str | None, image: Contained, *, is_sample: bool | None
    ) -> BroughtImage:
        """`similar`: a sample that the image may be, if its file is the same. `is_sample`: whether there is a sample at
        `target`; None: nothing is known of it, so a file may be written there."""
        async with self.room:
            try:
                data = await self.contents.read(image)
                facts = await files.check(target, data, self.limits.formats, self.limits.check)
            except (StorageError, PartsChanged):
                raise
            except DomainError as refused:
                return BroughtImage(target, refused=refused.message)
            if similar is not None and similar != target:
                found = await object_with(self.store, similar, data)
                if found is not None:
                    return BroughtImage(similar, InspectedImage.of(found, facts))
            if is_sample is False:
                return BroughtImage(target, refused=RESERVED, refused_as="SAMPLE_DELETED")
            write = object_with if is_sample else as_if_written if self.dry_run else write_new
            try:
                stored = await write(self.store, target, data)
            except ObjectMissing:  # a directory is needed where there is a file
                stored = None
            if stored is None:
                return BroughtImage(target, refused=DIFFERS, refused_as="IMAGE_DIFFERS")
            return BroughtImage(target, InspectedImage.of(stored, facts))
