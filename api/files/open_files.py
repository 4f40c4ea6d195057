"""Files that are open in this process: each once, however many read it, and closed with the last of them.

Closing is explicit: what waits for Python to find that nobody refers to it may hold the disk's space for minutes.
"""

import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from db.errors import StorageError
from db.storage import Disk
from db.storage.objects import CHUNK

LEAST: Final = 256 * 1024**2  # bytes that files which are open may take, however small the cache is


@dataclass(slots=True)
class SharedFile:
    name: str
    descriptor: int
    size: int
    users: int = 0  # readers, and threads that read at this moment


@dataclass(slots=True)
class OpenFiles:
    """Threads share it."""

    _files: dict[str, SharedFile] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, name: str) -> SharedFile | None:
        """To be left, if there is one."""
        with self._lock:
            file = self._files.get(name)
            if file is not None:
                file.users += 1
            return file

    def enter(self, name: str, descriptor: int, *, most: int) -> SharedFile:
        """To be left. Another's file of this name is as good, and ours closed. Raises StorageError."""
        size = os.fstat(descriptor).st_size
        with self._lock:
            file = self._files.get(name)
            is_ours = file is None and self._has_room(size, most)
            if is_ours:
                file = self._files[name] = SharedFile(name, descriptor, size)
            if file is not None:
                file.users += 1
        if not is_ours:
            os.close(descriptor)
        if file is None:
            raise _no_room()
        return file

    def expect_room(self, size: int, *, most: int) -> None:
        """Raises StorageError."""
        with self._lock:
            if not self._has_room(size, most):
                raise _no_room()

    def leave(self, file: SharedFile) -> None:
        with self._lock:
            file.users -= 1
            is_last = file.users == 0
            if is_last:
                del self._files[file.name]
        if is_last:
            os.close(file.descriptor)

    @property
    def unlinked(self) -> int:
        """Bytes of files that no folder has any more."""
        with self._lock:
            found = [os.fstat(file.descriptor) for file in self._files.values()]
        return sum(each.st_size for each in found if each.st_nlink == 0)

    def _has_room(self, size: int, most: int) -> bool:
        return not self._files or sum(file.size for file in self._files.values()) + size <= max(most, LEAST)


def _no_room() -> StorageError:
    return StorageError("Images that are being sent take all the space that they may; ask again later.")


class Reader:
    """Of one answer, which closes it. A thread may still open a file for it, or read, when it is closed already."""

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._file: SharedFile | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self.size = 0

    def take(self, file: SharedFile) -> None:
        """A file that was entered or found."""
        with self._lock:
            is_late = self._is_closed
            if not is_late:
                self._file, self.size = file, file.size
        if is_late:
            self._files.leave(file)

    def close(self) -> None:
        with self._lock:
            file, self._file, self._is_closed = self._file, None, True
        if file is not None:
            self._files.leave(file)

    async def stream(self, disk: Disk, start: int, length: int) -> AsyncIterator[bytes]:
        """A range, of which a piece is in memory at a time."""
        end = start + length
        while start < end and (piece := await disk.run(self._read, start, min(CHUNK, end - start))):
            yield piece
            start += len(piece)

    def _read(self, start: int, length: int) -> bytes:
        with self._lock:
            file = None if self._file is None else self._files.find(self._file.name)
        if file is None:
            return b""
        try:
            return os.pread(file.descriptor, length, start)
        finally:
            self._files.leave(file)
