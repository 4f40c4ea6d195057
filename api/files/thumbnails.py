"""Thumbnails: made few at once and each only once, then kept in a folder under what they were made from."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.files.disk_cache import DiskCache
from db.errors import Invalid
from db.formats import images
from db.formats.decoding import Decoders
from db.storage import Disk, Store

PNG = b"\x89PNG"
EDITION = 2  # of thumbnails; those of another are made anew. To be raised when they come to look different


@dataclass(frozen=True, slots=True)
class Thumbnail:
    data: bytes

    @property
    def media(self) -> str:
        return images.MEDIA_TYPES["PNG" if self.data.startswith(PNG) else "JPEG"]


@dataclass(slots=True)
class Thumbnails:
    """`room` bounds how many are made at once in this process, and `largest`, in bytes, their sources: with both the
    memory that they take, whatever lies in storage by now."""

    kept: DiskCache
    decoders: Decoders
    room: asyncio.Semaphore
    largest: int
    disk: Disk  # that the folder lies on
    _making: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)
    _sweep: asyncio.Task[None] | None = None

    async def get(self, store: Store, path: str, content: str, size: int) -> Thumbnail:
        """`content` is a name that no other bytes have. Raises DomainError when the source cannot be read."""
        name = hashlib.sha256(f"{EDITION}\0{content}\0{size}".encode()).hexdigest()
        found = await self.disk.run(self.kept.find, name)
        if found is not None:
            return Thumbnail(found)
        if name not in self._making:
            self._making[name] = asyncio.create_task(self._make(name, store, path, size))
            self._making[name].add_done_callback(lambda _: self._making.pop(name, None))
        return Thumbnail(await asyncio.shield(self._making[name]))

    async def _make(self, name: str, store: Store, path: str, size: int) -> bytes:
        async with self.room:
            data = await store.read(path, length=self.largest + 1)
            if len(data) > self.largest:
                raise Invalid("The file is larger than an image may be.", code="FILE_TOO_LARGE")
            made = await self.decoders.thumbnail(data, size)
        await self.disk.run(self.kept.keep, name, made)
        if self.kept.is_due:
            self.sweep()
        return made

    def sweep(self) -> None:
        """Make room in the folder while requests go on, unless that is being done."""
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self.disk.finish(self.kept.sweep))

    async def rest(self) -> None:
        """Wait for what goes on in the background; the answers that it was for are given up."""
        going = [*self._making.values(), *([self._sweep] if self._sweep else [])]
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)


@asynccontextmanager
async def thumbnails(
    folder: Path, *, most: int, decoders: Decoders, largest: int = images.DEFAULT_LIMITS.size, disk: Disk | None = None
) -> AsyncIterator[Thumbnails]:
    """Those kept in a folder, at most so many bytes of them. The folder's disk has threads of its own."""
    room = asyncio.Semaphore(decoders.limits.together)
    made = Thumbnails(DiskCache(folder, most), decoders, room, largest, disk or Disk())
    made.sweep()
    try:
        yield made
    finally:
        await made.rest()
