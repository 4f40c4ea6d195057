"""A folder of files that can be made again, bounded: the least recently used ones are deleted first.

Any number of processes share it. Files appear whole and vanish whole; whoever misses one makes it again.
"""

import fcntl
import heapq
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from api.files.open_files import OpenFiles, Reader

BLOCK: Final = 4_096  # bytes that disks allocate at once
SPARE: Final = 10  # a sweep leaves a tenth of the limit free
SWEEP_AFTER: Final = 20  # a process sweeps when it has added a twentieth of the limit itself


class CachedFile(NamedTuple):
    used_at: float  # in seconds since 1970
    size: int  # bytes of the disk
    path: str


@dataclass(slots=True)
class DiskCache:
    """`max_bytes` of disk, passed by little for the moment between two sweeps; 0 caches nothing."""

    folder: Path
    max_bytes: int
    _added: int = 0  # bytes that this process added since it last swept
    _open: OpenFiles = field(default_factory=OpenFiles)

    def get(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        return data

    def size(self, name: str) -> int | None:
        try:
            return self._path(name).stat().st_size
        except OSError:
            return None

    def reader(self) -> Reader:
        """For `open` or `open_uncached`, and to be closed in any case."""
        return Reader(self._open)

    def open(self, name: str, reader: Reader) -> bool:
        """Whether there is such a file. Raises StorageError, if those that are open take too much."""
        path = self._path(name)
        file = self._open.find(name)
        if file is None:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return False
            file = self._open.enter(name, descriptor, most=self.max_bytes)
        reader.take(file)
        with suppress(OSError):
            os.utime(path)
        return True

    def open_uncached(self, name: str, data: bytes, reader: Reader) -> None:
        """As `open`; of what was not cached, a file that no folder has. Raises OSError on a full disk."""
        if self.open(name, reader):
            return
        self._open.expect_room(len(data), most=self.max_bytes)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.write(data)
            file.flush()
            reader.take(self._open.enter(name, os.dup(file.fileno()), most=self.max_bytes))

    def add(self, name: str, data: bytes) -> None:
        """Whole or not at all. A full disk costs the file, not the answer."""
        if self.max_bytes == 0:
            return
        path = self._path(name)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # a killed process's is swept as any other
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
            self._added += _allocated(len(data))

    @property
    def needs_sweep(self) -> bool:
        return self._added * SWEEP_AFTER > self.max_bytes

    def sweep(self) -> None:
        """Delete the least recently used files, if all take more than `max_bytes`, those included that this process
        still sends and that are deleted already.

        One process at a time does it: where another sweeps, its sweep is as good as ours.
        """
        self._added = 0
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "sweeping").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._delete_oldest()

    def _delete_oldest(self) -> None:
        with os.scandir(self.folder) as entries:
            folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        files = [sorted(_files(folder)) for folder in folders]  # one large sort would stop the process
        excess = sum(file.size for each in files for file in each) + self._open.unlinked - self.max_bytes
        if excess <= 0:
            return
        excess += self.max_bytes // SPARE
        for file in heapq.merge(*files):
            if excess <= 0:
                return
            Path(file.path).unlink(missing_ok=True)
            excess -= file.size

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name[2:]


def _files(folder: str) -> Iterator[CachedFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                yield CachedFile(found.st_mtime, _allocated(found.st_size), entry.path)


def _allocated(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
