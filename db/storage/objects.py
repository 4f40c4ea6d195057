"""What a store is, whoever keeps the bytes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from db.errors import AlreadyExists, Conflict, DomainError, StorageError

PAGE = 1_000  # objects in a page of a listing, at most
CHUNK = 256 * 1024  # bytes that a stream gives at once


class RootMissing(StorageError):
    """The store itself cannot be reached, so nothing can be said about its objects."""

    def __init__(self, message: str = "The input path is not there, or the server may not read it.") -> None:
        super().__init__(message)


class ObjectMissing(StorageError):
    """The object is not there."""

    def __init__(self) -> None:
        super().__init__("The file is not there any more.")


class ObjectChanged(Conflict):
    """The object's content is not the one that was meant; it was left alone."""

    message = "The file was replaced by another since; it was left alone."

    def __init__(self) -> None:
        super().__init__(self.message)


class ObjectExists(AlreadyExists):
    """There is an object under this path already."""

    code = "SAMPLE_ALREADY_EXISTS"

    def __init__(self) -> None:
        super().__init__("There is a file of this name already.")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing tells it. `etag` names the content; None where only reading would tell it.

    `changed_at` is when the file system last changed the file, where there is one. `content` is a hash of the content,
    `pixels` one of the file without its metadata (`db.formats.pixels`), where the store knows them.
    """

    path: str
    size: int
    modified_at: datetime
    etag: str | None
    changed_at: datetime | None = None
    content: str | None = None
    pixels: str | None = None
    link_to: str | None = None  # below the same root, if the object is a link to something there

    @property
    def stamp(self) -> str:
        """Changes whenever the content does, and costs nothing to know; may change without it."""
        return self.etag or f"{self.size:x}-{int(self.modified_at.timestamp() * 1_000_000):x}"


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of an object, and what was true of it while they were read.

    `content`: a hash of the whole content, None where only `content_hashes` can tell it. `pixels`: a hash of the file
    without its metadata (`db.formats.pixels`), where all of it was read. `changed_at`: as of a StoredObject.
    """

    size: int
    modified_at: datetime
    etag: str
    data: bytes
    content: str | None = None
    pixels: str | None = None
    changed_at: datetime | None = None

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing. `unreadable`: directories that could not be entered, so the listing is not complete.

    `too_long`: directories whose files would have longer paths than an object can have. `passed`: what is no object,
    and the word for why: LINK_NOT_ALLOWED, LINK_BROKEN, LINK_REPEATED, NOT_A_FILE.
    """

    objects: Sequence[StoredObject]
    unreadable: Sequence[str] = field(default=())
    too_long: Sequence[str] = field(default=())
    ignored: Sequence[tuple[str, str]] = field(default=())


class Store(Protocol):
    """The objects below one root. Every failure is a StorageError, or one of its kind above."""

    def pages(self) -> AsyncIterator[Page]:
        """Everything, in no order, in pages of at most `PAGE`. It is complete when the iterator ends by itself."""
        ...

    async def stat(self, path: str) -> StoredObject | None:
        """The object, or None if it is certainly not there."""
        ...

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        """The first `length` bytes of many objects, read side by side; a failure stands in its object's place."""
        ...

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        """Hashes of the whole content of many objects, given by path and etag; each is read to its end.

        A failure stands in its object's place, also where the object has another etag by now.
        """
        ...

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        """A range of an object."""
        ...

    def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A range of an object, in pieces of at most `CHUNK`."""
        ...

    async def write(self, path: str, data: bytes) -> StoredObject:
        """A new object; never over another (ObjectExists)."""
        ...

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        """As `write`, of any size: whole when the pieces end, and nothing at all when they break off."""
        ...

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        """Remove an object, if its content is still `etag` (ObjectChanged). False: it was not there."""
        ...

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        """As `delete`, for many paths with their etags; a refusal stands in its object's place."""
        ...

    async def download_url(self, path: str, *, media: str, seconds: int) -> str | None:
        """A URL that gives the object to whoever has it, for so long; None where the store serves nobody itself."""
        ...

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        """A URL to which whoever has it may PUT so many bytes, over what is there; None as with `link`."""
        ...

    async def replace(self, path: str, data: bytes) -> None:
        """An object over whatever is there. For places that are ours alone."""
        ...

    async def discard(self, paths: Sequence[str]) -> list[str]:
        """Remove objects, whatever they are. Those that may still be there; what was not there is not among them."""
        ...


async def one_by_one(store: Store, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
    """`delete_many` of a store that has no operation for many."""
    results: list[bool | DomainError] = []
    for path, etag in objects:
        try:
            results.append(await store.delete(path, etag=etag))
        except DomainError as refused:
            results.append(refused)
    return results


async def discard_one_by_one(store: Store, paths: Sequence[str]) -> list[str]:
    """`discard` of a store that has no operation for many."""
    told = await one_by_one(store, [(path, None) for path in paths])
    return [path for path, outcome in zip(paths, told, strict=True) if isinstance(outcome, DomainError)]
