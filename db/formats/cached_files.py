"""Files of this machine whose bytes the system has in memory: who reads one there waits for no disk."""

import os
from typing import Final

NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)  # no other system than Linux can say what it has in memory
STEP: Final = 512 * 1024  # bytes from one that is looked at to the next


class CachedFile:
    """Open for reading; closed with the last reference to it, so also where nobody waits for it any more. It owns its
    descriptor."""

    __slots__ = ("descriptor", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor, self.size = descriptor, size

    def __len__(self) -> int:
        return self.size

    def __del__(self) -> None:
        os.close(self.descriptor)


def find_cached(descriptor: int, most: int) -> CachedFile | None:
    """An open file of at most so many bytes, if those that are looked at are in memory: then the others usually are."""
    size = os.fstat(descriptor).st_size
    if 0 < size <= most and all(_read(descriptor, bytearray(1), at) for at in range(size - 1, -1, -STEP)):
        return CachedFile(os.dup(descriptor), size)
    return None


def read_cached(descriptor: int, size: int) -> bytearray | None:
    """The file's first bytes; None where some are not in memory, or it is shorter by now."""
    data = bytearray(size)
    return data if _read(descriptor, data, 0) else None


def _read(descriptor: int, data: bytearray, start: int) -> bool:
    """Whether all of it could be filled without waiting. Of what is missing, the system begins to read."""
    if NOWAIT is None:
        return False
    try:
        return os.preadv(descriptor, [data], start, NOWAIT) == len(data)
    except OSError:  # BlockingIOError, or a file system that cannot say
        return False
