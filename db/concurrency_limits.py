"""Limits of concurrent tasks, so that one client, or thousands of subscribers at once, do not delay the others."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

MAX_SHARED_READS: Final = 3  # reads for subscribers at once, of the connections to the database
SHARED_READ_TTL: Final = 2.0  # seconds for which a result is kept for subscribers that ask later

Result = TypeVar("Result")


async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so many seconds. Not by `wait_for`: in Python 3.11 it may lose a cancellation."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def gather_or_cancel(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results, in order. When one fails, or this is canceled, the others are canceled."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def one_ahead(items: AsyncGenerator[Result, None]) -> AsyncGenerator[Result, None]:
    """The items of a generator; while one is used, the next is made."""
    following = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await following) is not None:
            following = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await items.aclose()


async def race(*work: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Run all until the first ends, and cancel the others; their tasks, each of which has ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tasks


class Turns:
    """For a computation in the event loop that takes long: after every so many steps all others have their turn. A step
    takes some ten microseconds, so they wait a few milliseconds, where a thread would compete with each of them."""

    def __init__(self, steps: int = 200) -> None:
        self._steps = self._left = steps

    async def step(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._left = self._steps
            await asyncio.sleep(0)


class ConcurrencyLimit:
    """At most `limit` tasks at once, and at most `per_key` of each key; the others wait."""

    def __init__(self, limit: int, per_key: int) -> None:
        self.per_key = max(per_key, 1)
        self._all = asyncio.Semaphore(max(limit, 1))
        self._keys: dict[Hashable, asyncio.Semaphore] = {}
        self._users: Counter[Hashable] = Counter()
        self.running = 0

    @property
    def waiting(self) -> int:
        return self._users.total() - self.running

    @asynccontextmanager
    async def slot(self, key: Hashable) -> AsyncGenerator[None, None]:
        own = self._keys.setdefault(key, asyncio.Semaphore(self.per_key))
        self._users[key] += 1
        try:
            async with own, self._all:
                self.running += 1
                try:
                    yield
                finally:
                    self.running -= 1
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._keys[key]


class LoopThrottle:
    """Resumes at most `per_iteration` waiting tasks in each iteration of the event loop, in order of arrival."""

    def __init__(self, per_iteration: int = 2) -> None:
        self.per_iteration = per_iteration
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._scheduled = False

    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        resumed: asyncio.Future[None] = loop.create_future()
        self._waiting.append(resumed)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._resume, loop)
        await resumed

    def _resume(self, loop: asyncio.AbstractEventLoop) -> None:
        count = 0
        while self._waiting and count < self.per_iteration:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count += 1
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            loop.call_soon(self._resume, loop)


class SharedReads:
    """Reads once what several callers request under the same key; at most `limit` keys at once, in order of arrival.
    One owner gets all but one of these: whoever requests a thousand reads delays the others by one."""

    def __init__(self, limit: int = MAX_SHARED_READS) -> None:
        self._slots = ConcurrencyLimit(limit, limit - 1)
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        self._callers: Counter[Hashable] = Counter()

    async def get(
        self, owner: Hashable, key: Hashable, read: Callable[[], Awaitable[Result]], *, ttl: float = 0
    ) -> Result:
        """The result of `read`, or of a read of this owner and key that is still running or ended less than `ttl`
        seconds ago. A read is canceled with its last caller.

        They must contain everything that the result depends on; with `ttl`, also the state of the database.
        """
        key = (owner, key)

        async def read_in_slot() -> Result:
            async with self._slots.slot(owner):
                return await read()

        def expire(task: asyncio.Task[Any]) -> None:
            if ttl and not task.cancelled() and task.exception() is None:
                task.get_loop().call_later(ttl, self._tasks.pop, key, None)
            elif self._tasks.get(key) is task:
                del self._tasks[key]

        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(read_in_slot())
            task.add_done_callback(expire)
        self._callers[key] += 1
        try:
            result: Result = await asyncio.shield(task)
        finally:
            self._callers[key] -= 1
            if not self._callers[key]:
                del self._callers[key]
                if not task.done():
                    self._tasks.pop(key, None)
                    task.cancel()
        return result
