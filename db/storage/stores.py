"""Opening the store of an input or output path: a directory or a bucket that the server's owner allows."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from db.storage.disks import DEADLINE, Disks
from db.storage.local import LocalStore
from db.storage.locations import AllowedLocations, bucket_of, is_bucket
from db.storage.objects import Store
from db.storage.observed import Observe, ObservedStore
from db.storage.s3_config import S3Config

if TYPE_CHECKING:
    from db.storage.s3 import S3


@dataclass(frozen=True, slots=True)
class Stores:
    """Built once by the composition root. Without `s3` there are only directories. `observe` surrounds each call."""

    locations: AllowedLocations = AllowedLocations()
    s3: "S3 | None" = None
    disks: Disks = field(default_factory=Disks)
    observe: Observe | None = None

    async def input(self, text: str) -> str:
        """`AllowedLocations.input`, in the disk's own threads: following links accesses the disk."""
        return await self.disks.resolving(text).run(self.locations.input, text)

    async def output(self, text: str, *, source: str) -> str:
        """`AllowedLocations.output`, as above."""
        return await self.disks.resolving(text).run(lambda: self.locations.output(text, source=source))

    def open(self, url: str) -> Store:
        """The store at a normalized path. Accesses no disk. Raises INVALID_PATH where the owner does not allow it."""
        url = self.locations.known(url)
        store = self._open(url)
        kind = "bucket" if is_bucket(url) else "directory"
        return store if self.observe is None else ObservedStore(store, kind, self.observe)

    def _open(self, url: str) -> Store:
        if self.s3 is None or not is_bucket(url):
            return LocalStore(Path(url), self.disks.of(url), self.locations.roots)
        from db.storage.s3 import S3Store

        return S3Store(self.s3, *bucket_of(url))


@asynccontextmanager
async def open_stores(
    roots: Sequence[Path] = (),
    config: S3Config | None = None,
    buckets: Sequence[str] = (),
    *,
    disk_seconds: float = DEADLINE,
    observe: Observe | None = None,
) -> AsyncGenerator[Stores, None]:
    """Directories below `roots` and, with `config`, buckets: those named, or all that its keys open."""
    disks = Disks(disk_seconds)
    if config is None:
        yield Stores(AllowedLocations(tuple(roots)), disks=disks, observe=observe)
        return
    from db.storage.s3 import connect  # takes half a second, and most servers do not need it

    async with connect(config) as s3:
        yield Stores(AllowedLocations(tuple(roots), frozenset(buckets) or None, s3=True), s3, disks, observe)
