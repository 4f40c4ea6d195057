"""Reading stores from a thread."""

import asyncio
import io
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from db.errors import Invalid
from db.ingest.imports.files.packed import Range
from db.storage import Store

PIECE: Final = 1024 * 1024  # bytes that are read at once
T = TypeVar("T")


class Abandoned(Exception):
    """Nobody waits for what is read any more."""


@dataclass(slots=True)
class Bridge:
    """Runs in the loop what a thread asks for, until it is closed, which ends what the thread waits for. `position`:
    bytes that were read."""

    loop: asyncio.AbstractEventLoop
    is_closed: bool = False
    position: int = 0
    pending: Future[Any] | None = None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        if self.is_closed:
            work.close()
            raise Abandoned
        self.pending = future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except CancelledError:
            raise Abandoned from None

    def close(self) -> None:
        self.is_closed = True
        if self.pending is not None:
            self.pending.cancel()


class ObjectFile(Range):
    """A range of an object, or all of it, as a file. Raises StorageError; Invalid, if the object is shorter now."""

    def __init__(self, bridge: Bridge, store: Store, path: str, size: int, start: int = 0) -> None:
        super().__init__(start, size)
        self.bridge = bridge
        self.store = store
        self.path = path

    def place(self) -> tuple[str, int, int]:
        """The object that is to be read, from where, and how much there is of it from there."""
        return self.path, self.start + self.position, self.size - self.position

    async def fetch(self, path: str, start: int, length: int) -> bytes:
        return await self.store.read(path, start=start, length=length)

    def readinto(self, buffer: Any) -> int:
        path, start, left = self.place()
        length = min(len(buffer), left, PIECE)
        if length <= 0:
            return 0
        data = self.bridge.call(self.fetch(path, start, length))
        if len(data) < length:
            raise Invalid("A file became shorter while it was read; import again.")
        buffer[:length] = data
        self.position += length
        self.bridge.position += length
        return length

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(PIECE) or b"", b""))


def buffered(file: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(file, PIECE)
