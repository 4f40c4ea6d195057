"""Thumbnails and renditions: few are made at once, and each only once; a folder caches them under what they were made
from."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from api.files.disk_cache import DiskCache
from api.files.open_files import Reader
from db.errors import Invalid, StorageError
from db.formats import images
from db.formats.cached_files import CachedFile
from db.formats.decoding import Decoders, NotCached
from db.storage import Disk, Store

EDITION: Final = 2  # of thumbnails; those of another are made again. Raise it when a change makes them look different


@dataclass(slots=True)
class Thumbnails:
    """`slots` bounds how many are made at once in this process, and `max_bytes` their sources: with both the memory
    that they take, whatever is in storage by now."""

    cache: DiskCache
    decoders: Decoders
    slots: asyncio.Semaphore
    max_bytes: int
    disk: Disk  # that the folder is on
    _making: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)
    _sweep: asyncio.Task[None] | None = None
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one at a time, so that others find its file

    async def get(self, store: Store, path: str, content: str, size: int) -> bytes:
        """A PNG or JPEG of this longest side. `content` is a name that no other bytes have. Raises DomainError if there
        is none."""
        name = _name(content, size)
        cached = await self.disk.run(self.cache.get, name)
        return cached if cached is not None else await self._made(name, store, path, size)

    async def rendition(self, store: Store, path: str, content: str) -> Reader:
        """As large as browsers show the image, so it is read from the disk while it is sent; to be closed. Raises
        DomainError."""
        name, reader = _name(content, None), self.cache.reader()
        try:
            if await self.disk.run(self.cache.open, name, reader):
                return reader
            made = await self._made(name, store, path, None)
            if not await self.disk.run(self.cache.open, name, reader):
                async with self._writing:
                    await self.disk.run(self.cache.open_uncached, name, made, reader)
        except BaseException as error:
            reader.close()
            if isinstance(error, OSError):
                raise StorageError("The disk of the cache is full, or cannot be written.") from None
            raise
        return reader

    async def rendition_size(self, store: Store, path: str, content: str) -> int:
        """In bytes. Raises DomainError."""
        name = _name(content, None)
        size = await self.disk.run(self.cache.size, name)
        return len(await self._made(name, store, path, None)) if size is None else size

    async def _made(self, name: str, store: Store, path: str, size: int | None) -> bytes:
        if name not in self._making:
            self._making[name] = asyncio.create_task(self._make(name, store, path, size))
            self._making[name].add_done_callback(lambda _: self._making.pop(name, None))
        return await asyncio.shield(self._making[name])

    async def _make(self, name: str, store: Store, path: str, size: int | None) -> bytes:
        async with self.slots:
            try:
                made = await self._decode(await store.read_or_open(path, length=self.max_bytes + 1), size)
            except NotCached:
                made = await self._decode(await store.read(path, length=self.max_bytes + 1), size)
        await self.disk.run(self.cache.add, name, made)
        if self.cache.needs_sweep:
            self.sweep()
        return made

    async def _decode(self, data: bytes | CachedFile, size: int | None) -> bytes:
        if len(data) > self.max_bytes:
            raise Invalid("The file is larger than an image may be.", code="FILE_TOO_LARGE")
        return await (self.decoders.rendition(data) if size is None else self.decoders.thumbnail(data, size))

    def sweep(self) -> None:
        """Delete the oldest in the folder while requests go on, unless that is being done."""
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self.disk.finish(self.cache.sweep))

    async def close(self) -> None:
        """Wait for what goes on in the background; the answers that it was for are given up."""
        tasks = [*self._making.values(), *([self._sweep] if self._sweep else [])]
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _name(content: str, size: int | None) -> str:
    return hashlib.sha256(f"{EDITION}\0{content}\0{size}".encode()).hexdigest()


@asynccontextmanager
async def thumbnails(
    folder: Path,
    *,
    cache_bytes: int,
    decoders: Decoders,
    max_bytes: int = images.DEFAULT_LIMITS.size,
    disk: Disk | None = None,
) -> AsyncIterator[Thumbnails]:
    """Those cached in a folder, which takes at most `cache_bytes`. The folder's disk has threads of its own."""
    slots = asyncio.Semaphore(decoders.limits.processes)
    opened = Thumbnails(DiskCache(folder, cache_bytes), decoders, slots, max_bytes, disk or Disk())
    opened.sweep()
    try:
        yield opened
    finally:
        await opened.close()
