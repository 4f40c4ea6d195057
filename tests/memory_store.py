"""A store in memory, for tests."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b

from db.errors import StorageError
from db.formats.paths import path_parts
from db.formats.timestamps import microseconds
from db.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, RootMissing
from db.storage.objects import ALL, CHUNK, PAGE, Head, Page, Scope, Store, StoredObject


class MemoryStore(Store):
    """Its listing has etags, as that of S3 has. `broken`: everything fails, as without a root."""

    def __init__(self) -> None:
        self.contents: dict[str, tuple[bytes, datetime]] = {}
        self.broken = False

    def put(self, path: str, data: bytes, modified_at: datetime | None = None) -> None:
        """Write as another program would, over whatever is there."""
        self.contents[path] = (data, modified_at or datetime.now(UTC))

    async def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        self._check()
        listed = [self._object(path) for path in sorted(self.contents)]
        for start in range(0, len(listed), PAGE):
            self._check()
            yield Page(listed[start : start + PAGE])

    async def stat(self, path: str) -> StoredObject | None:
        self._check()
        return self._object(path) if path in self.contents else None

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        self._check()
        return [self._head(path, length) for path in paths]

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        self._check()
        heads = [self._head(path, 0) for path, _ in objects]
        return [head.etag if isinstance(head, Head) else head for head in heads]

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        self._check()
        if path not in self.contents:
            raise ObjectMissing
        return self.contents[path][0][start : None if length is None else start + length]

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        data = await self.read(path, start=start, length=length)
        for position in range(0, len(data), CHUNK):
            yield data[position : position + CHUNK]

    async def write(self, path: str, data: bytes) -> StoredObject:
        self._check()
        path_parts(path)
        if path in self.contents:
            raise ObjectExists
        self.put(path, data)
        return self._object(path)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        return await self.write(path, b"".join([piece async for piece in pieces]))

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        self._check()
        if path not in self.contents:
            return False
        if etag not in (None, self._object(path).etag):
            raise ObjectChanged
        del self.contents[path]
        return True

    async def replace(self, path: str, data: bytes) -> None:
        self._check()
        path_parts(path)
        self.put(path, data)

    def _check(self) -> None:
        if self.broken:
            raise RootMissing

    def _object(self, path: str) -> StoredObject:
        data, modified_at = self.contents[path]
        return StoredObject(path, len(data), microseconds(modified_at), blake2b(data, digest_size=16).hexdigest())

    def _head(self, path: str, length: int) -> Head | StorageError:
        if path not in self.contents:
            return ObjectMissing()
        found = self._object(path)
        data = self.contents[path][0][:length]
        return Head(path, found.size, found.modified, found.etag or "", content=found.etag, data=data)
