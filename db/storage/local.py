"""A directory of this machine as a store.

Each directory on the way to a file is opened by itself, relative to the one before (`O_NOFOLLOW`), so neither a link in
the tree nor one that is swapped in meanwhile leads out of it. Where a link is met, the real path is computed; if it
lies below an allowed root, the file is opened from that root in the same way, without any link. So links are followed
for reading only, and only to what the server's owner allowed. Nothing is written or deleted through a link: to delete a
linked file deletes the link.

An object's etag is a hash of its content, which a listing does not know.
"""

import asyncio
import errno
import os
import secrets
import stat as modes
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from db.errors import DomainError, StorageError
from db.formats.paths import path_parts
from db.formats.pixels import PixelHash
from db.storage.disks import Disk, progress
from db.storage.objects import (
    CHUNK,
    PAGE,
    Head,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    Page,
    RootMissing,
    StoredObject,
    one_by_one,
)
from db.storage.walk import DIRECTORY, Walk, described, path_below

FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # a link where something was is as good as nothing
LINKED: Final = (errno.ELOOP, errno.ENOTDIR)  # what `O_NOFOLLOW` says of a link to a file, and to a directory
READERS: Final = 4  # threads that read heads side by side


class ObjectLinked(ObjectChanged):
    """The object lies in a linked directory, so it is not this store's to delete."""

    message = "The file lies in a linked directory, where nothing is deleted; delete it there."


class LocalStore:
    """The files below a directory. `roots`: where links may lead; none are followed without."""

    def __init__(self, root: Path, disk: Disk | None = None, roots: Sequence[Path] = ()) -> None:
        self.root = root
        self.disk = disk or Disk()
        self.roots = roots

    async def pages(self) -> AsyncIterator[Page]:
        pages = self._pages()
        try:
            while (page := await self.disk.run(next, pages, None)) is not None:
                yield page
        finally:
            await self.disk.finish(lambda: _close(pages))

    async def stat(self, path: str) -> StoredObject | None:
        return await self.disk.run(self._stat, path)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        step = max(1, -(-len(paths) // READERS))
        parts = [paths[start : start + step] for start in range(0, len(paths), step)]
        read = await asyncio.gather(*(self.disk.run(self._heads, part, length) for part in parts))
        return [head for part in read for head in part]

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        heads = await self.heads([path for path, _ in objects], length=0)
        return [head.etag if isinstance(head, Head) else head for head in heads]

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        return await self.disk.run(lambda: b"".join(self._pieces(path, start, length)))

    async def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        pieces = self._pieces(path, start, length)
        try:
            while (piece := await self.disk.run(next, pieces, None)) is not None:
                yield piece
        finally:
            await self.disk.finish(lambda: _close(pieces))

    async def write(self, path: str, data: bytes) -> StoredObject:
        return await self.disk.run(self._write, path, data)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        part = await self.disk.run(_Part, self, path)
        try:
            async for piece in pieces:
                await self.disk.run(part.add, piece)
            return await self.disk.run(part.finish)
        finally:
            await self.disk.finish(part.close)

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        return await self.disk.run(self._delete, path, etag)

    async def delete_many(self, objects: Sequence[tuple[str, str | None]]) -> list[bool | DomainError]:
        return await one_by_one(self, objects)

    async def download_url(self, path: str, *, media: str, seconds: int) -> str | None:
        return None

    async def upload_url(self, path: str, *, size: int, seconds: int) -> str | None:
        return None

    async def replace(self, path: str, data: bytes) -> None:
        await self.disk.run(self._replace, path, data)

    async def discard(self, paths: Sequence[str]) -> list[str]:
        outcomes = zip(paths, await one_by_one(self, [(path, None) for path in paths]), strict=True)
        return [
            path
            for path, outcome in outcomes
            if isinstance(outcome, DomainError) and not isinstance(outcome, ObjectLinked)
        ]

    # What follows blocks, and runs in threads.

    def _pages(self) -> Generator[Page, None, None]:
        root = self.root_descriptor()
        try:
            with _told():
                walk = Walk(root, self.root, self.roots)
                for found in walk.files():
                    progress()
                    walk.found.append(found)
                    if len(walk.found) + len(walk.ignored) >= PAGE:
                        yield walk.page()
                yield walk.page()
        finally:
            os.close(root)

    def _stat(self, path: str) -> StoredObject | None:
        try:
            with _told():
                facts = self._facts(path)
        except ObjectMissing:
            os.close(self.root_descriptor())  # it is gone for certain only if the root still is there
            return None
        return described(path, facts) if modes.S_ISREG(facts.st_mode) else None

    def _facts(self, path: str) -> os.stat_result:
        try:
            with self.parent(path) as (parent, name):
                facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not modes.S_ISLNK(facts.st_mode):
                return facts
        except OSError as error:
            if error.errno not in LINKED:
                raise
        store, below = self._followed(path)
        try:
            with store.parent(below) as (parent, name):
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if self._is_cut_off(path):
                raise StorageError("A link on the way to the file leads nowhere.") from error
            raise

    def _is_cut_off(self, path: str) -> bool:
        """Whether a link on the way leads nowhere, so that nobody knows what would be behind it."""
        steps = [self.root.joinpath(*path.split("/")[:length]) for length in range(1, path.count("/") + 2)]
        return any(step.is_symlink() and not step.exists() for step in steps)

    def _followed(self, path: str) -> tuple["LocalStore", str]:
        """The allowed root that a path with links on its way leads below, and where to; this store, if there are none.
        Raises StorageError where it leads elsewhere."""
        real = os.path.realpath(self.root / path)
        if not self.roots or path_below(real, os.path.realpath(self.root)) == path:
            return self, path
        for root in self.roots:
            if below := path_below(real, str(root)):
                return LocalStore(root), below
        raise StorageError("A link on the way to the file leads outside the directories that are allowed.")

    def _heads(self, paths: Sequence[str], length: int) -> list[Head | StorageError]:
        heads: list[Head | StorageError] = []
        for path in paths:
            try:
                heads.append(self._head(path, length))
            except StorageError as error:
                heads.append(error)
        return heads

    def _head(self, path: str, length: int) -> Head:
        with self._open(path) as descriptor:
            digest, pixels = blake2b(digest_size=16), PixelHash()
            data = os.read(descriptor, max(length, CHUNK))
            first, size = data[:length], 0
            while data:
                progress()
                digest.update(data)
                pixels.update(data)
                size += len(data)
                data = os.read(descriptor, CHUNK * 4)
            found, etag = described(path, os.fstat(descriptor)), digest.hexdigest()
            return Head(size, found.modified_at, etag, first, etag, pixels.hexdigest(), found.changed_at)

    def _pieces(self, path: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        with self._open(path) as descriptor:
            os.lseek(descriptor, start, os.SEEK_SET)
            left = length
            while left is None or left > 0:
                piece = os.read(descriptor, CHUNK if left is None else min(CHUNK, left))
                if not piece:
                    return
                progress()
                left = left if left is None else left - len(piece)
                yield piece

    def _write(self, path: str, data: bytes) -> StoredObject:
        with closing(_Part(self, path)) as part:
            part.add(data)
            return part.finish()

    def _replace(self, path: str, data: bytes) -> None:
        """Not synced to disk: what is replaced was never promised to last."""
        with _told(), self.parent(path, make=True) as (parent, name):
            part = f".{secrets.token_hex(8)}.part"
            try:
                with os.fdopen(os.open(part, NEW, 0o644, dir_fd=parent), "wb") as file:
                    file.write(data)
                os.replace(part, name, src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=parent)

    def _delete(self, path: str, etag: str | None) -> bool:
        try:
            if etag is not None and self._head(path, 0).etag != etag:
                raise ObjectChanged
            with _told(), self.parent(path) as (parent, name):
                os.unlink(name, dir_fd=parent)
        except ObjectMissing:
            if self._stat(path) is not None:
                raise ObjectLinked from None
            return False
        return True

    def root_descriptor(self) -> int:
        """Nothing is there where a link has taken the place of a directory above the root."""
        try:
            if os.path.realpath(self.root, strict=True) != str(self.root):
                raise RootMissing
            return os.open(self.root, DIRECTORY)
        except OSError as error:
            raise RootMissing from error

    @contextmanager
    def _open(self, path: str) -> Iterator[int]:
        with _told():
            descriptor = self._descriptor(path)
            try:
                if not modes.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ObjectMissing
                yield descriptor
            finally:
                os.close(descriptor)

    def _descriptor(self, path: str) -> int:
        try:
            with self.parent(path) as (parent, name):
                return os.open(name, FILE, dir_fd=parent)
        except OSError as error:
            if error.errno not in LINKED:
                raise
        store, below = self._followed(path)
        with store.parent(below) as (parent, name):
            return os.open(name, FILE, dir_fd=parent)

    @contextmanager
    def parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The directory that holds an object, reached step by step; with `make`, made where it is not there."""
        *directories, name = path_parts(path)
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        current = self.root_descriptor()
        try:
            for directory in directories:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(directory, dir_fd=current)
                below = os.open(directory, DIRECTORY, dir_fd=current)
                os.close(current)
                current = below
            yield current, name
        finally:
            os.close(current)


class _Part:
    """A file in the making, beside its place, then linked into it: readers see all of it or nothing, and nothing is
    overwritten. Its methods block."""

    def __init__(self, store: LocalStore, path: str) -> None:
        self.path, self.digest, self.pixels = path, blake2b(digest_size=16), PixelHash()
        self.part = f".{secrets.token_hex(8)}.part"
        with ExitStack() as held, _told():
            self.parent, self.name = held.enter_context(store.parent(path, make=True))
            with suppress(FileNotFoundError):
                os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
                raise ObjectExists
            self.file = held.enter_context(os.fdopen(os.open(self.part, NEW, 0o644, dir_fd=self.parent), "wb"))
            held.callback(self._forget)
            self.held = held.pop_all()

    def add(self, data: bytes) -> None:
        with _told():
            self.digest.update(data)
            self.pixels.update(data)
            self.file.write(data)

    def finish(self) -> StoredObject:
        with _told():
            try:
                self.file.flush()
                os.fsync(self.file.fileno())
                os.link(self.part, self.name, src_dir_fd=self.parent, dst_dir_fd=self.parent, follow_symlinks=False)
                os.fsync(self.parent)
                self._forget()  # before it is described: losing a name changes a file's change time
            except FileExistsError:
                raise ObjectExists from None
            found = described(self.path, os.stat(self.name, dir_fd=self.parent, follow_symlinks=False))
        etag = self.digest.hexdigest()
        return replace(found, etag=etag, content=etag, pixels=self.pixels.hexdigest())

    def close(self) -> None:
        with _told():
            self.held.close()

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.part, dir_fd=self.parent)


def _close(steps: Generator[object, None, None]) -> None:
    """A canceled reader leaves a thread inside the generator; when that returns, the generator closes itself."""
    with suppress(ValueError):
        steps.close()


@contextmanager
def _told() -> Iterator[None]:
    """What the system says, in our words: no path of the server is in them."""
    try:
        yield
    except OSError as error:
        if error.errno in GONE:
            raise ObjectMissing from error
        raise StorageError(f"The store could not do it: {os.strerror(error.errno or 0)}.") from error
