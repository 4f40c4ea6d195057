"""For crowds: thousands of subscribers who wake at once, to the same event, must not hold up everybody else."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

TOGETHER: Final = 2  # readings for subscribers at once, of the connections to the database
KEPT: Final = 2.0  # seconds for which a reading is kept for those who come late

Result = TypeVar("Result")


class Turnstile:
    """Lets `most` tasks pass in each turn of the event loop, in the order in which they come."""

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._running = False

    async def enter(self) -> None:
        loop = asyncio.get_running_loop()
        passing: asyncio.Future[None] = loop.create_future()
        self._waiting.append(passing)
        if not self._running:
            self._running = True
            loop.call_soon(self._let_pass, loop)
        await passing

    def _let_pass(self, loop: asyncio.AbstractEventLoop) -> None:
        passed = 0
        while self._waiting and passed < self.most:
            passing = self._waiting.popleft()
            if not passing.done():
                passing.set_result(None)
                passed += 1
        self._running = bool(self._waiting)
        if self._running:
            loop.call_soon(self._let_pass, loop)


class SharedReads:
    """Reads once what many ask for under the same key, few things at a time; the others wait in the order they came."""

    def __init__(self, together: int = TOGETHER) -> None:
        self._room = asyncio.Semaphore(together)
        self._going: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Result]], *, kept: float = 0) -> Result:
        """What `read` gives, or gave to somebody who asked before: less than `kept` seconds ago, or who still waits.

        The key says all that the result depends on; with `kept`, also the moment that it is true of.
        """
        task = self._going.get(key)
        if task is None:
            task = self._going[key] = asyncio.create_task(self._read(read))
            task.add_done_callback(lambda done: self._done(key, done, kept))
        result: Result = await asyncio.shield(task)
        return result

    async def _read(self, read: Callable[[], Awaitable[Result]]) -> Result:
        async with self._room:
            return await read()

    def _done(self, key: Hashable, task: asyncio.Task[Any], kept: float) -> None:
        if kept and not task.cancelled() and task.exception() is None:
            task.get_loop().call_later(kept, self._going.pop, key, None)
        else:
            self._going.pop(key, None)
