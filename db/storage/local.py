"""A directory of this machine as a store.

Each directory on the way to a file is opened by itself, relative to the one before (`O_NOFOLLOW`), so neither a link in
the tree nor one that is swapped in leads out of it. Where there is a link, the real path is computed; if it
is below an allowed root, the file is opened from that root in the same way, without any link. So links are followed
for reading only, and only to what the server's owner allowed. Nothing is written or deleted through a link: deleting a
linked file deletes the link.

An object's etag is a hash of its content; a listing has none.
"""

import asyncio
import errno
import os
import secrets
import stat as modes
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

from db.errors import StorageError
from db.formats.cached_files import CachedFile, find_cached
from db.formats.paths import path_parts
from db.formats.pixels import PixelHash
from db.storage.disks import Disk, progress
from db.storage.errors import ObjectChanged, ObjectExists, ObjectMissing, RootMissing
from db.storage.objects import ALL, CHUNK, PAGE, Head, Page, Scope, Store, StoredObject
from db.storage.walk import DIRECTORY, Walk, described, enter, path_below

FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # also a link that replaced it
LINKED: Final = (errno.ELOOP, errno.ENOTDIR)  # of `O_NOFOLLOW`, for a link to a file and to a directory
T = TypeVar("T")
READERS: Final = 4  # threads that read heads concurrently, where each takes long
LONG: Final = 0.0003  # seconds for a head: of less, most is Python's, and threads take the interpreter from each other
WHOLE: Final = 8 * 1024 * 1024  # bytes that are read at once: nearly every image, so that nothing is joined


class ObjectLinked(ObjectChanged):
    """The object is in a linked directory, where this store deletes nothing."""

    message = "The file is in a linked directory, where the server deletes nothing; delete it there."


class LocalStore(Store):
    """The files below a directory. `roots`: where links may lead; none are followed without."""

    def __init__(self, root: Path, disk: Disk | None = None, roots: Sequence[Path] = ()) -> None:
        self.root = root
        self.disk = disk or Disk()
        self.roots = roots

    def pages(self, scope: Scope = ALL) -> AsyncIterator[Page]:
        return self._in_steps(self._pages(scope))

    async def stat(self, path: str) -> StoredObject | None:
        return await self.disk.run(self._stat, path)

    async def heads(self, paths: Sequence[str], *, length: int) -> list[Head | StorageError]:
        def read(part: Sequence[str]) -> list[Head | StorageError]:
            started = time.perf_counter()
            with closing(_Directories(self)) as directories:
                heads = [self._head_or_error(path, length, directories) for path in part]
            self.disk.is_slow = time.perf_counter() - started > LONG * len(part)
            return heads

        step = max(1, -(-len(paths) // (READERS if self.disk.is_slow else 1)))
        parts = [paths[start : start + step] for start in range(0, len(paths), step)]
        return [head for part in await asyncio.gather(*(self.disk.run(read, part) for part in parts)) for head in part]

    async def content_hashes(self, objects: Sequence[tuple[str, str]]) -> list[str | StorageError]:
        heads = await self.heads([path for path, _ in objects], length=0)
        return [head.etag if isinstance(head, Head) else head for head in heads]

    async def read(self, path: str, *, start: int = 0, length: int | None = None) -> bytes:
        return await self.disk.run(lambda: b"".join(self._pieces(path, start, length, WHOLE)))

    async def read_or_open(self, path: str, *, length: int) -> bytes | CachedFile:
        def find() -> bytes | CachedFile:
            with self._open(path) as descriptor:
                return find_cached(descriptor, length) or b"".join(_pieces(descriptor, length, WHOLE))

        return await self.disk.run(find)

    def stream(self, path: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._in_steps(self._pieces(path, start, length))

    async def write(self, path: str, data: bytes) -> StoredObject:
        def write() -> StoredObject:
            with closing(_NewFile(self, path)) as file:
                file.add(data)
                return file.finish()

        return await self.disk.run(write)

    async def write_stream(self, path: str, pieces: AsyncIterator[bytes]) -> StoredObject:
        file = await self.disk.run(_NewFile, self, path)
        try:
            async for piece in pieces:
                await self.disk.run(file.add, piece)
            return await self.disk.run(file.finish)
        finally:
            await self.disk.finish(file.close)

    async def replace(self, path: str, data: bytes) -> None:
        """Not synced to disk: what is replaced was never promised to last."""

        def write() -> None:
            with _system_errors(), self.parent(path, make=True) as (parent, name):
                part = f".{secrets.token_hex(8)}.part"
                try:
                    with os.fdopen(os.open(part, NEW, 0o644, dir_fd=parent), "wb") as file:
                        file.write(data)
                    os.replace(part, name, src_dir_fd=parent, dst_dir_fd=parent)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(part, dir_fd=parent)

        await self.disk.run(write)

    async def delete(self, path: str, *, etag: str | None = None) -> bool:
        def delete() -> bool:
            try:
                if etag is not None and self._head(path, 0).etag != etag:
                    raise ObjectChanged
                with _system_errors(), self.parent(path) as (parent, name):
                    os.unlink(name, dir_fd=parent)
            except ObjectMissing:
                if self._stat(path) is not None:
                    raise ObjectLinked from None
                return False
            return True

        return await self.disk.run(delete)

    async def _in_steps(self, steps: Generator[T, None, None]) -> AsyncIterator[T]:
        """The items of a generator that blocks, each made in a thread."""

        def close() -> None:
            with suppress(ValueError):  # a canceled reader left a thread inside: it closes itself when that returns
                steps.close()

        try:
            while (item := await self.disk.run(next, steps, None)) is not None:
                yield item
        finally:
            await self.disk.finish(close)

    # What follows blocks, and runs in threads.

    def _pages(self, scope: Scope) -> Generator[Page, None, None]:
        root = self.root_descriptor()
        try:
            with _system_errors():
                walk = Walk(root, self.root, self.roots, scope.skips)
                for found in walk.files():
                    progress()
                    walk.found.append(found)
                    if len(walk.found) + len(walk.ignored) + len(walk.skipped) >= PAGE:
                        yield walk.page()
                yield walk.page()
        finally:
            os.close(root)

    def _stat(self, path: str) -> StoredObject | None:
        try:
            with _system_errors():
                facts = self._facts(path)
        except ObjectMissing:
            os.close(self.root_descriptor())  # it is certainly gone only if the root is still there
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
        store, below = self._resolved(path)
        try:
            with store.parent(below) as (parent, name):
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            steps = [self.root.joinpath(*path.split("/")[:length]) for length in range(1, path.count("/") + 2)]
            if any(step.is_symlink() and not step.exists() for step in steps):  # what is behind it is unknown
                raise StorageError("A link in the file's path has no target.") from error
            raise

    def _resolved(self, path: str) -> tuple["LocalStore", str]:
        """The allowed root that a path with links on its way leads below, and the path there; this store, if there are
        no links. Raises StorageError where it leads elsewhere."""
        real = os.path.realpath(self.root / path)
        if not self.roots or path_below(real, os.path.realpath(self.root)) == path:
            return self, path
        for root in self.roots:
            if below := path_below(real, str(root)):
                return LocalStore(root), below
        raise StorageError("A link in the file's path leads outside the allowed directories.")

    def _head_or_error(self, path: str, length: int, directories: "_Directories") -> Head | StorageError:
        try:
            return self._head(path, length, directories)
        except ObjectMissing as missing:
            try:
                os.close(self.root_descriptor())  # it is certainly gone only if the root is still there
            except RootMissing as away:
                return away
            directories.close()
            return missing
        except StorageError as error:
            return error

    def _head(self, path: str, length: int, directories: "_Directories | None" = None) -> Head:
        with self._open(path, directories) as descriptor:
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
            return Head(path, size, found.modified, etag, found.changed, etag, pixels.hexdigest(), data=first)

    def _pieces(self, path: str, start: int, length: int | None, most: int = CHUNK) -> Generator[bytes, None, None]:
        with self._open(path) as descriptor:
            os.lseek(descriptor, start, os.SEEK_SET)
            yield from _pieces(descriptor, length, most)

    @contextmanager
    def _open(self, path: str, directories: "_Directories | None" = None) -> Iterator[int]:
        with _system_errors():
            try:
                with directories.parent(path) if directories else self.parent(path) as (parent, name):
                    descriptor = os.open(name, FILE, dir_fd=parent)
            except OSError as error:
                if error.errno not in LINKED:
                    raise
                store, below = self._resolved(path)
                with store.parent(below) as (parent, name):
                    descriptor = os.open(name, FILE, dir_fd=parent)
            try:
                if not modes.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ObjectMissing
                yield descriptor
            finally:
                os.close(descriptor)

    def root_descriptor(self) -> int:
        """Raises RootMissing, also where a link has replaced a directory above the root."""
        try:
            if os.path.realpath(self.root, strict=True) != str(self.root):
                raise RootMissing
            return os.open(self.root, DIRECTORY)
        except OSError as error:
            raise RootMissing from error

    @contextmanager
    def parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory of an object, and the object's name in it; with `make`, missing directories are made."""
        *directories, name = path_parts(path)
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        descriptor = enter(self.root_descriptor(), directories, make=make)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)


def _pieces(descriptor: int, length: int | None, most: int) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        piece = os.read(descriptor, most if left is None else min(most, left))
        if not piece:
            return
        progress()
        left = left if left is None else left - len(piece)
        yield piece


class _Directories:
    """The directories of objects that are read one after the other: each stays open for the next object in it."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.names: list[str] = []  # of the one that is open
        self.descriptor = -1

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """As that of the store."""
        *names, name = path_parts(path)
        if self.descriptor < 0 or names != self.names:
            self.close()
            self.descriptor, self.names = enter(self.store.root_descriptor(), names), names
        yield self.descriptor, name


class _NewFile:
    """A temporary file next to the path that it is written for, linked there when it is complete: readers see all of it
    or nothing, and nothing is overwritten. Its methods block."""

    def __init__(self, store: LocalStore, path: str) -> None:
        self.path, self.digest, self.pixels = path, blake2b(digest_size=16), PixelHash()
        self.part = f".{secrets.token_hex(8)}.part"
        with ExitStack() as stack, _system_errors():
            self.parent, self.name = stack.enter_context(store.parent(path, make=True))
            with suppress(FileNotFoundError):
                os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
                raise ObjectExists
            self.file = stack.enter_context(os.fdopen(os.open(self.part, NEW, 0o644, dir_fd=self.parent), "wb"))
            stack.callback(self._remove_part)
            self.stack = stack.pop_all()

    def add(self, data: bytes) -> None:
        with _system_errors():
            self.digest.update(data)
            self.pixels.update(data)
            self.file.write(data)

    def finish(self) -> StoredObject:
        with _system_errors():
            try:
                self.file.flush()
                os.fsync(self.file.fileno())
                os.link(self.part, self.name, src_dir_fd=self.parent, dst_dir_fd=self.parent, follow_symlinks=False)
                os.fsync(self.parent)
                self._remove_part()  # before it is described: losing a name changes a file's change time
            except FileExistsError:
                raise ObjectExists from None
            found = described(self.path, os.stat(self.name, dir_fd=self.parent, follow_symlinks=False))
        etag = self.digest.hexdigest()
        return replace(found, etag=etag, content=etag, pixels=self.pixels.hexdigest())

    def close(self) -> None:
        with _system_errors():
            self.stack.close()

    def _remove_part(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.part, dir_fd=self.parent)


@contextmanager
def _system_errors() -> Iterator[None]:
    """Raises errors of the system as StorageErrors, whose sentences have no path of the server in them."""
    try:
        yield
    except OSError as error:
        if error.errno in GONE:
            raise ObjectMissing from error
        raise StorageError(f"The operation failed: {os.strerror(error.errno or 0)}.") from error
