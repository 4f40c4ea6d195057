"""Opening stores: which places a server's owner allows, and how they are reached."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from db.storage.access import S3Config
from db.storage.disks import DEADLINE, Disks
from db.storage.local import LocalStore
from db.storage.locations import AllowedLocations, bucket_of, is_bucket
from db.storage.objects import Store

if TYPE_CHECKING:
    from db.storage.s3 import S3


@dataclass(frozen=True, slots=True)
class Stores:
    """Built once by the composition root. `s3` None: this server knows only directories."""

    locations: AllowedLocations = AllowedLocations()
    s3: "S3 | None" = None
    disks: Disks = field(default_factory=Disks)

    async def input(self, text: str) -> str:
        """The one form of an input path (`AllowedLocations.input`), found out by the disk's own threads."""
        return await self.disks.resolving(text).run(self.locations.input, text)

    async def output(self, text: str, *, source: str) -> str:
        """As `input`, for an output path."""
        return await self.disks.resolving(text).run(lambda: self.locations.output(text, source=source))

    def open(self, url: str) -> Store:
        """The store at a path in its one form. Asks no disk. Raises INVALID_PATH where the owner does not allow it."""
        url = self.locations.known(url)
        if self.s3 is None or not is_bucket(url):
            return LocalStore(Path(url), self.disks.of(url), self.locations.roots)
        from db.storage.s3 import S3Store

        return S3Store(self.s3, *bucket_of(url))


@asynccontextmanager
async def open_stores(
    roots: Sequence[Path] = (),
    access: S3Config | None = None,
    buckets: Sequence[str] = (),
    *,
    disk_seconds: float = DEADLINE,
) -> AsyncGenerator[Stores, None]:
    """Directories below `roots` and, with `access`, buckets: those named, or all that it opens."""
    if access is None:
        yield Stores(AllowedLocations(tuple(roots)), disks=Disks(disk_seconds))
        return
    from db.storage.s3 import connect  # half a second to import, and most servers need none of it

    async with connect(access) as s3:
        yield Stores(AllowedLocations(tuple(roots), frozenset(buckets) or None, s3=True), s3, Disks(disk_seconds))
