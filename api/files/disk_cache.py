"""A folder of files that can be made again, bounded: those that were not asked for longest go first.

Any number of processes share it. Files appear whole and vanish whole; whoever misses one makes it again.
"""

import fcntl
import heapq
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

BLOCK: Final = 4_096  # bytes that disks give out at once
SPARE: Final = 10  # a sweep leaves a tenth of the room free
SHARE: Final = 20  # a process sweeps when it has kept a twentieth of the room itself


class Kept(NamedTuple):
    seen: float  # when it was last asked for, in seconds since 1970
    taken: int  # bytes of the disk
    path: str


@dataclass(slots=True)
class DiskCache:
    """`most` bytes of disk, passed by little for the moment between two sweeps; 0 keeps nothing."""

    folder: Path
    most: int
    _fresh: int = 0  # bytes kept by this process since it last swept

    def find(self, name: str) -> bytes | None:
        place = self._place(name)
        try:
            data = place.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(place)
        return data

    def keep(self, name: str, data: bytes) -> None:
        """Whole or not at all. A full disk costs the file, not the answer."""
        if self.most == 0:
            return
        place = self._place(name)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=place.parent)  # a killed process's is swept as any other
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(place)
            self._fresh += _taken(len(data))

    @property
    def is_due(self) -> bool:
        return self._fresh * SHARE > self.most

    def sweep(self) -> None:
        """Delete what was not asked for longest, if all is more than `most`. One process at a time does it."""
        self._fresh = 0
        with suppress(OSError), self._alone():
            folders = [sorted(_within(folder)) for folder in self._folders()]  # one large sort would stop the process
            over = sum(file.taken for files in folders for file in files) - self.most
            if over <= 0:
                return
            over += self.most // SPARE
            for file in heapq.merge(*folders):
                if over <= 0:
                    return
                Path(file.path).unlink(missing_ok=True)
                over -= file.taken

    def _place(self, name: str) -> Path:
        return self.folder / name[:2] / name[2:]

    def _folders(self) -> Iterator[str]:
        with os.scandir(self.folder) as entries:
            yield from (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises BlockingIOError, an OSError, where another process sweeps: its sweep is as good as ours."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "sweeping").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


def _within(folder: str) -> Iterator[Kept]:
    with os.scandir(folder) as files:
        for file in files:
            with suppress(FileNotFoundError):
                found = file.stat(follow_symlinks=False)
                yield Kept(found.st_mtime, _taken(found.st_size), file.path)


def _taken(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
