"""Threads for local disks: a disk that stops answering blocks its own threads, and no others.

A thread cannot be interrupted while it waits for a disk. So each mounted file system has a few threads of its own,
nobody waits longer for them than a deadline, and the process can end without them.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NoReturn, TypeVar

from db.errors import StorageError

THREADS: Final = 8  # of one file system
QUEUE: Final = 1_000  # calls that wait for threads
IDLE: Final = 10.0  # seconds after which a thread without work ends
DEADLINE: Final = 20.0  # seconds
REFUSAL_INTERVAL: Final = 0.01  # seconds between two refusals
MOUNTS: Final = Path("/proc/self/mountinfo")
MOUNTS_AGE: Final = 5.0  # seconds after which the list of mounts is read again

Result = TypeVar("Result")


class DiskTimeout(StorageError):
    """The disk did not answer in time. What was requested may still be done."""

    def __init__(self) -> None:
        super().__init__("The disk does not answer. Try again later.")


class Call:
    """One call of a function in a thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.future: Future[Any] = Future()
        self.progress_at = time.monotonic()

    def execute(self) -> None:
        """Runs in the thread, unless nobody waits for the result any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.progress_at = time.monotonic()
        try:
            self.future.set_result(self.function())
        except BaseException as error:
            self.future.set_exception(error)

    async def result(self, seconds: float) -> Any:
        """Raises DiskTimeout after so many seconds without progress."""
        result = asyncio.wrap_future(self.future)
        try:
            while (left := self.progress_at + seconds - time.monotonic()) > 0:
                await asyncio.wait([result], timeout=left)
                if result.done():
                    return result.result()
            raise DiskTimeout
        finally:
            result.cancel()


_current = threading.local()


def progress() -> None:
    """To be called by a long function in a disk's thread whenever the disk has answered: its deadline starts again."""
    call: Call | None = getattr(_current, "call", None)
    if call is not None:
        call.progress_at = time.monotonic()


class Disk:
    """The threads of one file system."""

    def __init__(self, seconds: float = DEADLINE) -> None:
        self.seconds = seconds
        self.is_slow = False  # whether reading the files that were read last took long
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: set[Call] = set()
        self._pending = 0  # calls that wait or run
        self._threads = 0
        self._refused_at = float("-inf")

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's result. Raises DiskTimeout; without waiting for the deadline, if all threads are stuck
        already."""
        if self._is_stuck():
            await self._refuse()
        try:
            result: Result = await self._submit(lambda: function(*arguments)).result(self.seconds)
        except DiskTimeout:
            await self._refuse()
        return result

    async def _refuse(self) -> NoReturn:
        """Raises DiskTimeout, one at a time: many clients that were refused in the same moment, or repeat their
        requests at once, would take the event loop from all others."""
        now = time.monotonic()
        self._refused_at = max(now, self._refused_at + REFUSAL_INTERVAL)
        await asyncio.sleep(self._refused_at - now)
        raise DiskTimeout

    async def finish(self, function: Callable[[], object]) -> None:
        """Run what releases something, now or once the disk answers again. It waits for the deadline at most."""
        result = asyncio.wrap_future(self._submit(function).future)
        await asyncio.wait([result], timeout=self.seconds)
        if result.done():
            result.result()

    def _is_stuck(self) -> bool:
        if self._pending >= QUEUE + THREADS:
            return True
        if self._pending < THREADS:
            return False
        late = time.monotonic() - self.seconds
        with self._lock:
            return len(self._running) == THREADS and all(call.progress_at < late for call in self._running)

    def _submit(self, function: Callable[[], Any]) -> Call:
        call = Call(function)
        with self._lock:
            self._calls.put(call)
            self._pending += 1
            is_thread_needed = self._pending > self._threads and self._threads < THREADS
            self._threads += is_thread_needed
        if is_thread_needed:
            threading.Thread(target=self._work, name="disk", daemon=True).start()
        return call

    def _work(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE)
            except Empty:
                with self._lock:
                    if self._calls.empty():
                        self._threads -= 1
                        return
                continue
            with self._lock:
                self._running.add(call)
            _current.call = call
            try:
                call.execute()
            finally:
                _current.call = None
                with self._lock:
                    self._running.discard(call)
                    self._pending -= 1
            del call  # it may be large, and the next call may come late


@dataclass(slots=True)
class Disks:
    """The disks of this machine, by mount point. Finding a path's mount point accesses no disk."""

    seconds: float = DEADLINE
    _known: dict[tuple[str, str], Disk] = field(default_factory=dict)
    _mounts: list[str] = field(default_factory=list)
    _read_at: float = float("-inf")

    def of(self, path: str) -> Disk:
        """The disk that a path is on; links are not followed."""
        return self._disk("files", path)

    def resolving(self, path: str) -> Disk:
        """For following a path that a client gave: its links may lead to another disk, which may not answer."""
        return self._disk("paths", path)

    def _disk(self, purpose: str, path: str) -> Disk:
        if time.monotonic() - self._read_at > MOUNTS_AGE:
            self._mounts, self._read_at = mount_points(), time.monotonic()
        path = os.path.normpath(path)
        mount = next((mount for mount in self._mounts if mount == "/" or f"{path}/".startswith(f"{mount}/")), "/")
        if (purpose, mount) not in self._known:
            self._known[purpose, mount] = Disk(self.seconds)
        return self._known[purpose, mount]


def mount_points() -> list[str]:
    """The longest first; none on a system that does not list them, which then counts as one disk."""
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    points = {os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1")) for line in lines}
    return sorted(points, key=len, reverse=True)
