"""What every store can do."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from db.errors import DomainError, StorageError
from db.formats.cached_files import CachedFile
from db.formats.timestamps import moment_of
from db.storage.errors import ObjectChanged

PAGE = 1_000  # objects in a page of a listing, at most
CHUNK = 256 * 1024  # bytes that a stream yields at once


@dataclass(slots=True, unsafe_hash=True)  # a frozen one takes four times as long to make, and listings make millions
class StoredObject:
    """An object as it is listed. `etag` identifies the content; None where only reading it would.

    `modified` and `changed` are in microseconds since 1970; `changed` is the file's change time, if it is a file.
    `content` is a hash of the content, and `pixels` a hash of the file without its metadata (`db.formats.pixels`),
    where the store knows them.
    """

    path: str
    size: int
    modified: int
    etag: str | None
    changed: int | None = None
    content: str | None = None
    pixels: str | None = None
    link_to: str | None = None  # below the same root, if the object is a link to something there

    @property
    def modified_at(self) -> datetime:
        return moment_of(self.modified)

    @property
    def changed_at(self) -> datetime | None:
        return None if self.changed is None else moment_of(self.changed)

    @property
    def stamp(self) -> str:
        """Changes whenever the content does, and may change without it. Nothing is read to know it."""
        return self.etag or f"{self.size:x}-{int(self.modified / 1_000_000 * 1_000_000):x}"


@dataclass(slots=True, unsafe_hash=True)
class Head(StoredObject):
    """The first bytes of an object, and what was true of it while they were read. `content` is None where only
    `content_hashes` reads the whole content, `pixels` unless all of it was read."""

    etag: str
    data: bytes = b""

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a store is listed: objects whose paths begin with one of `prefixes`, which do not overlap, and that are
    in no directory of which `skips` is true; it is asked with a path that ends with `/`. A store may list others as
    well, where leaving them out saves it nothing."""

    prefixes: tuple[str, ...] = ("",)
    skips: Callable[[str], bool] = lambda _: False


ALL: Final = Scope()


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing. `unreadable`: directories that could not be entered, so the listing is not complete.
    `skipped`: directories that the scope leaves out; their paths end with `/`.

    `too_long`: directories whose files would have longer paths than an object can have. `ignored`: what is no object,
    and the word for why: LINK_NOT_ALLOWED, LINK_BROKEN, LINK_REPEATED, NOT_A_FILE.
    """

    objects: Sequence[StoredObject]
    unreadable: Sequence[str] = field(default=())
    too_long: Sequence[str] = field(default=())
    ignored: Sequence[tuple[str, str]] = field(default=())
    skipped: Sequence[str] = field(default=())


class Store(Protocol):
    """The objects below one root. Every failure is a StorageError, or one of `errors`."""

    def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        """All objects of a scope, in no order, in pages of at most `PAGE`. The listing is complete when the iterator
        ends."""

    async def stat(self, path: str) -> StoredObject | None:
        """The object, or None if it is certainly not there."""

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        """The first `length` bytes of many objects, read concurrently. The item of an object that failed is its
        error."""

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        """Hashes of the whole content of many objects, given by path and etag; each is read to its end. The item of an
        object that failed, or that has another etag by now, is its error."""

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        """A range of an object."""

    async def read_or_open(self, path: str, *, length: int) -> bytes | CachedFile:
        """An object's first bytes; or the object itself, if it is a file of at most that length, in memory."""
        return await self.read(path, length=length)

    async def read_same(self, found: StoredObject, *, start: int, length: int) -> bytes:
        """As `read`, if the object is still what was found (ObjectChanged)."""
        data, now = await self.read(found.path, start=start, length=length), await self.stat(found.path)
        if now is None or now.stamp != found.stamp:
            raise ObjectChanged
        return data

    def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A range of an object, in pieces of at most `CHUNK`."""

    async def write(self, path: str, data: bytes) -> StoredObject:
        """A new object; never over another (ObjectExists)."""

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        """As `write`, of any size: whole when the pieces end, and nothing at all when they break off."""

    async def replace(self, path: str, data: bytes) -> None:
        """An object over whatever is there. Only for paths that nobody else writes to."""

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        """Remove an object, if its content is still `etag` (ObjectChanged). False: it was not there."""

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        """As `delete`, for many paths with their etags. The item of an object that is refused is its error."""
        results: list[bool | DomainError] = []
        for path, etag in objects:
            try:
                results.append(await self.delete(path, etag=etag))
            except DomainError as refused:
                results.append(refused)
        return results

    async def discard(self, paths: Sequence[str]) -> list[str]:
        """Remove objects, whatever they are. Returns those that may still be there, not those that were missing, nor
        those that the store leaves alone."""
        results = zip(paths, await self.delete_many([(path, None) for path in paths]), strict=True)
        return [path for path, result in results if not isinstance(result, bool | ObjectChanged)]

    async def download_url(self, path: str, *, media: str, seconds: int, name: str | None = None) -> str | None:
        """A URL at which anybody may fetch the object for this time, to be saved under a name; None where the store
        serves no clients."""
        return None

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        """A URL to which anybody may PUT so many bytes for this time, over what is there; None as above."""
        return None
