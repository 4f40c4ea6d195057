"""A store whose calls are reported to whoever opened it, to be counted, timed or traced."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from db.errors import DomainError, StorageError
from db.formats.cached_files import CachedFile
from db.storage.objects import ALL, Head, Page, Scope, Store, StoredObject

T = TypeVar("T")


@dataclass(slots=True)
class Traffic:
    """What one call was about, known when it ends. Of listings, `objects` are those that were listed."""

    objects: int = 1
    bytes: int = 0


Observe = Callable[[str, str], AbstractContextManager[Traffic]]  # the kind of store and the operation, for one call


@dataclass(frozen=True, slots=True)
class ObservedStore(Store):
    """The same store. `kind`: directory or bucket."""

    store: Store
    kind: str
    observe: Observe

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        async for page in self._steps("pages", self.store.pages(scope)):
            yield page

    async def stat(self, path: str) -> StoredObject | None:
        with self.observe(self.kind, "stat"):
            return await self.store.stat(path)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        with self.observe(self.kind, "heads") as traffic:
            found = await self.store.heads(paths, length=length)
            traffic.objects = len(found)
            traffic.bytes = sum(len(head.data) for head in found if isinstance(head, Head))
            return found

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        with self.observe(self.kind, "content_hashes") as traffic:
            traffic.objects = len(objects)
            return await self.store.content_hashes(objects)

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        with self.observe(self.kind, "read") as traffic:
            data = await self.store.read(path, start=start, length=length)
            traffic.bytes = len(data)
            return data

    async def read_or_open(self, path: str, *, length: int) -> bytes | CachedFile:
        with self.observe(self.kind, "read") as traffic:
            found = await self.store.read_or_open(path, length=length)
            traffic.bytes = len(found)
            return found

    async def read_same(self, found: StoredObject, *, start: int, length: int) -> bytes:
        with self.observe(self.kind, "read") as traffic:
            data = await self.store.read_same(found, start=start, length=length)
            traffic.bytes = len(data)
            return data

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for piece in self._steps("stream", self.store.stream(path, start=start, length=length)):
            yield piece

    async def write(self, path: str, data: bytes) -> StoredObject:
        with self.observe(self.kind, "write") as traffic:
            traffic.bytes = len(data)
            return await self.store.write(path, data)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        with self.observe(self.kind, "write_stream") as traffic:
            written = await self.store.write_stream(path, pieces)
            traffic.bytes = written.size
            return written

    async def replace(self, path: str, data: bytes) -> None:
        with self.observe(self.kind, "replace") as traffic:
            traffic.bytes = len(data)
            await self.store.replace(path, data)

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        with self.observe(self.kind, "delete"):
            return await self.store.delete(path, etag=etag)

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        with self.observe(self.kind, "delete_many") as traffic:
            traffic.objects = len(objects)
            return await self.store.delete_many(objects)

    async def discard(self, paths: Sequence[str]) -> list[str]:
        with self.observe(self.kind, "discard") as traffic:
            traffic.objects = len(paths)
            return await self.store.discard(paths)

    async def download_url(self, path: str, *, media: str, seconds: int, name: str | None = None) -> str | None:
        return await self.store.download_url(path, media=media, seconds=seconds, name=name)

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        return await self.store.upload_url(path, size=size, seconds=seconds)

    async def _steps(self, operation: str, steps: AsyncIterator[T]) -> AsyncIterator[T]:
        """Each step is a call: what its consumer does in between is not the store's time."""
        while True:
            with self.observe(self.kind, operation) as traffic:
                traffic.objects = 0
                step = await anext(steps, None)
                match step:
                    case None:
                        return
                    case Page():
                        traffic.objects = len(step.objects)
                    case bytes():
                        traffic.bytes = len(step)
            yield step
