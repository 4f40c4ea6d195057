"""Threads for local disks, apart from all others: a disk that stops answering keeps its own threads busy, and no more.

A thread cannot be taken back from a call that never returns. So each mounted file system has few threads of its own,
nobody waits longer for them than a deadline, and they hold up no end of the process.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from db.errors import StorageError

THREADS: Final = 8  # of one file system
QUEUE: Final = 1_000  # calls that wait for them
IDLE: Final = 10.0  # seconds after which a thread without work ends
DEADLINE: Final = 20.0  # seconds
MOUNTS: Final = Path("/proc/self/mountinfo")
FRESH: Final = 5.0  # seconds for which the list of mounts is believed

Result = TypeVar("Result")


class DiskTimeout(StorageError):
    """The disk did not answer in time. What was asked of it may still be done."""

    def __init__(self) -> None:
        super().__init__("The disk does not answer. Try again later.")


class _Call:
    """One call of a function in a thread."""

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function, self.loop = function, loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.moved = time.monotonic()
        self.abandoned = False

    def carry_out(self) -> None:
        if self.abandoned:
            return
        self.moved = time.monotonic()
        try:
            outcome, error = self.function(), None
        except BaseException as raised:
            outcome, error = None, raised
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self.loop.call_soon_threadsafe(self._deliver, outcome, error)

    def _deliver(self, outcome: Any, error: BaseException | None) -> None:
        if self.future.done() or self.abandoned:
            return
        if error is None:
            self.future.set_result(outcome)
        else:
            self.future.set_exception(error)

    async def outcome(self, seconds: float) -> Any:
        """Raises DiskTimeout after so many seconds without progress."""
        try:
            while (left := self.moved + seconds - time.monotonic()) > 0:
                await asyncio.wait([self.future], timeout=left)
                if self.future.done():
                    return self.future.result()
            raise DiskTimeout
        finally:
            self.abandoned = not self.future.done()


_current = threading.local()


def progress() -> None:
    """Called by what runs long in a disk's thread, whenever the disk has answered."""
    call: _Call | None = getattr(_current, "call", None)
    if call is not None:
        call.moved = time.monotonic()


class Disk:
    """The threads of one file system."""

    def __init__(self, seconds: float = DEADLINE) -> None:
        self.seconds = seconds
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._lock = threading.Lock()
        self._running: set[_Call] = set()
        self._pending = 0  # calls that wait or run
        self._threads = 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's result. Raises DiskTimeout; at once, if every thread waits for the disk already."""
        if self._is_stuck():
            raise DiskTimeout
        result: Result = await self._submit(lambda: function(*arguments)).outcome(self.seconds)
        return result

    async def finish(self, function: Callable[[], object]) -> None:
        """Run what gives something back, now or once the disk answers again; nobody waits for it for ever."""
        with suppress(DiskTimeout):
            call = self._submit(function)
            await asyncio.wait([call.future], timeout=self.seconds)
            if call.future.done():
                call.future.result()

    def _is_stuck(self) -> bool:
        if self._pending >= QUEUE + THREADS:
            return True
        if self._pending < THREADS:
            return False
        late = time.monotonic() - self.seconds
        with self._lock:
            return len(self._running) == THREADS and all(call.moved < late for call in self._running)

    def _submit(self, function: Callable[[], Any]) -> _Call:
        call = _Call(function, asyncio.get_running_loop())
        with self._lock:
            self._calls.put(call)
            self._pending += 1
            begins = self._pending > self._threads and self._threads < THREADS
            self._threads += begins
        if begins:
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
            self._carry_out(call)
            del call  # with what it holds: the next one may be long in coming

    def _carry_out(self, call: _Call) -> None:
        with self._lock:
            self._running.add(call)
        _current.call = call
        try:
            call.carry_out()
        finally:
            _current.call = None
            with self._lock:
                self._running.discard(call)
                self._pending -= 1


@dataclass(slots=True)
class Disks:
    """The disks of this machine, by where they are mounted. Looking that up asks no disk."""

    seconds: float = DEADLINE
    _known: dict[tuple[str, str], Disk] = field(default_factory=dict)
    _mounts: tuple[str, ...] = ()
    _read_at: float = float("-inf")

    def of(self, path: str) -> Disk:
        """The disk that a path lies on, links not followed."""
        return self._disk("files", path)

    def resolving(self, path: str) -> Disk:
        """For following a path that somebody gave: its links may lead to another disk, which may not answer."""
        return self._disk("paths", path)

    def _disk(self, purpose: str, path: str) -> Disk:
        key = (purpose, self._mount(path))
        if key not in self._known:
            self._known[key] = Disk(self.seconds)
        return self._known[key]

    def _mount(self, path: str) -> str:
        if time.monotonic() - self._read_at > FRESH:
            self._mounts, self._read_at = tuple(_mount_points()), time.monotonic()
        place = os.path.normpath(path)
        return next((mount for mount in self._mounts if mount == "/" or f"{place}/".startswith(f"{mount}/")), "/")


def _mount_points() -> list[str]:
    """The longest first. A system that does not list them counts as one disk."""
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    points = {os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1")) for line in lines}
    return sorted(points, key=len, reverse=True)
