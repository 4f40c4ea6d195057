"""Limits of concurrent tasks, so that one client, or thousands of subscribers at once, do not delay the others."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

MAX_SHARED_READS: Final = 3  # reads for subscribers at once, of the connections to the database
SHARED_READ_TTL: Final = 2.0  # seconds for which a result is kept for subscribers that ask later
AT_ONCE: Final = 2  # calls of Batches under one key
ALONE_SECONDS: Final = 5.0  # for which calls under a key follow each other, after a wrong announcement or none

Item = TypeVar("Item")
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

    async def step(self, count: int = 1) -> None:
        """`count`: as how many it counts, where it takes longer than others."""
        self._left -= count
        if self._left <= 0:
            self._left = self._steps
            await asyncio.sleep(0)


@dataclass(slots=True)
class Slot:
    """A place among the tasks of a ConcurrencyLimit, for a block."""

    limit: "ConcurrencyLimit"
    key: Hashable
    is_held: bool = False

    async def __aenter__(self) -> "Slot":
        own = self.limit.enter(self.key)
        try:
            await own.acquire()
            try:
                await self.take()
            except BaseException:
                own.release()
                raise
        except BaseException:
            self.limit.exit(self.key)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        self.limit.exit(self.key).release()

    async def take(self) -> None:
        await self.limit.all.acquire()
        self.is_held = True
        self.limit.running += 1

    def leave(self) -> None:
        if self.is_held:
            self.is_held = False
            self.limit.running -= 1
            self.limit.all.release()

    @asynccontextmanager
    async def left(self) -> AsyncGenerator[None, None]:
        """Others may run during the block. The task still counts among those of its key, which are therefore few. One
        that is canceled does not come back."""
        self.leave()
        try:
            yield
        except Exception:
            await self.take()
            raise
        await self.take()


class ConcurrencyLimit:
    """At most `limit` tasks at once, and at most `per_key` of each key; the others wait."""

    def __init__(self, limit: int, per_key: int) -> None:
        self.per_key = max(per_key, 1)
        self.all = asyncio.Semaphore(max(limit, 1))
        self._keys: dict[Hashable, asyncio.Semaphore] = {}
        self._users: Counter[Hashable] = Counter()
        self.running = 0

    @property
    def waiting(self) -> int:
        return self._users.total() - self.running

    def is_full(self, key: Hashable) -> bool:
        """Whether another task of this key would wait."""
        own = self._keys.get(key)
        return self.all.locked() or (own is not None and own.locked())

    def slot(self, key: Hashable) -> Slot:
        return Slot(self, key)

    def enter(self, key: Hashable) -> asyncio.Semaphore:
        """One more user of the key, and the places of all its users."""
        self._users[key] += 1
        own = self._keys.get(key)
        if own is None:
            own = self._keys[key] = asyncio.Semaphore(self.per_key)
        return own

    def exit(self, key: Hashable) -> asyncio.Semaphore:
        own = self._keys[key]
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._keys[key]
        return own


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Generic[Item, Result]):
    """An item that waits to be done with others. It is done when `result` is set, or canceled by who waits for it."""

    item: Item
    needs: frozenset[Hashable]  # no two calls that go on at the same time have items that need the same
    result: asyncio.Future[Result]
    since: float  # when it began to wait, by the clock of the event loop
    context: Context = field(default_factory=copy_context)


@dataclass(slots=True, eq=False)
class Batch(Generic[Item, Result]):
    """Items that are done in one call. `before`: the call that began before, unless it had ended."""

    before: "Batch[Item, Result] | None"
    entries: list[Entry[Item, Result]] = field(default_factory=list)
    leaves: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def announce(self, leaves: object) -> None:
        """What the next call can go by, which begins now. A call that does not announce anything is alone."""
        if not self.leaves.done():
            self.leaves.set_result(leaves)

    @property
    def announced(self) -> Any:
        """What the call before has announced, if it has not ended."""
        if self.before is None or self.before.ended.is_set() or not self.before.leaves.done():
            return None
        return self.before.leaves.result()

    async def follow(self) -> None:
        """Wait until the call before has ended."""
        if self.before is not None:
            await self.before.ended.wait()


class WrongAnnouncement(Exception):
    """The call before did not leave what it had announced. Nothing was done; what is undone is among the next."""


@dataclass(slots=True, eq=False)
class Queue:
    """What is to be done under one key."""

    waiting: list[Entry[Any, Any]] = field(default_factory=list)
    running: list[Batch[Any, Any]] = field(default_factory=list)
    alone_until: float = 0.0  # by the clock of the event loop

    @property
    def is_alone(self) -> bool:
        """Whether calls follow each other now."""
        return asyncio.get_running_loop().time() < self.alone_until

    def take(self, most: int) -> list[Entry[Any, Any]]:
        """The next items, in order of arrival: half of all, where the other half can be done at the same time. What
        needs the same as a call that goes on waits for it, and so does what came after that and needs the same."""
        self.waiting = [entry for entry in self.waiting if not entry.result.done()]
        in_use = {need for batch in self.running for entry in batch.entries for need in entry.needs}
        every = len(self.waiting) + sum(len(batch.entries) for batch in self.running)
        count = min(most, every if self.is_alone else (every + 1) // 2)
        taken: list[Entry[Any, Any]] = []
        left: list[Entry[Any, Any]] = []
        for place, entry in enumerate(self.waiting):
            if len(taken) == count:
                left += self.waiting[place:]
                break
            if in_use.isdisjoint(entry.needs):
                taken.append(entry)
            else:
                left.append(entry)
                in_use |= entry.needs
        self.waiting = left
        return taken

    def let_follow(self) -> None:
        """For a while, calls follow each other."""
        self.alone_until = asyncio.get_running_loop().time() + ALONE_SECONDS

    def end(self, batch: Batch[Any, Any]) -> None:
        """What the call leaves undone is among the next."""
        if batch.entries and not batch.leaves.done():
            self.let_follow()
        self.running.remove(batch)
        self.waiting[:0] = [entry for entry in batch.entries if not entry.result.done()]
        batch.before = None
        batch.ended.set()
        batch.announce(None)


class Batches:
    """While something is done under a key, what else is to be done under it waits in memory, and is then done in one
    call: at most `most` items, in order of arrival. A second call begins while the first goes on, as soon as that has
    announced what it leaves. What a call leaves undone is among the next."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[Hashable, Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def do(
        self,
        key: Hashable,
        item: Item,
        work: Callable[[Batch[Item, Result]], Coroutine[Any, Any, None]],
        *,
        needs: Iterable[Hashable] = (),
    ) -> Result:
        """The result that `work` sets for the item. All calls under one key give the same `work`. When this is
        canceled, calls that begin later leave the item out."""
        loop = asyncio.get_running_loop()
        entry: Entry[Item, Result] = Entry(item, frozenset(needs), loop.create_future(), loop.time())
        queue = self._queues.setdefault(key, Queue())
        queue.waiting.append(entry)
        self._begin(key, queue, work)
        return await entry.result

    def _begin(self, key: Hashable, queue: Queue, work: Callable[[Batch[Any, Any]], Coroutine[Any, Any, None]]) -> None:
        if queue.waiting and len(queue.running) < AT_ONCE:
            batch: Batch[Any, Any] = Batch(queue.running[-1] if queue.running else None)
            queue.running.append(batch)
            task = asyncio.get_running_loop().create_task(self._do(key, queue, batch, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif not queue.waiting and not queue.running:
            self._queues.pop(key, None)

    async def _do(
        self,
        key: Hashable,
        queue: Queue,
        batch: Batch[Any, Any],
        work: Callable[[Batch[Any, Any]], Coroutine[Any, Any, None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            if batch.before is not None:
                await asyncio.wait([batch.before.leaves])
                batch.entries = [] if queue.is_alone else queue.take(self._most)
                if not batch.entries:
                    await batch.follow()
            batch.entries = batch.entries or queue.take(self._most)
            self._begin(key, queue, work)
            if batch.entries:
                await loop.create_task(work(batch), context=batch.entries[0].context)
        except WrongAnnouncement:
            queue.let_follow()
        except Exception as error:
            for entry in batch.entries:
                if not entry.result.done():
                    entry.result.set_exception(error)
        except asyncio.CancelledError:
            for entry in (*batch.entries, *queue.waiting):
                entry.result.cancel()
            queue.waiting.clear()
            raise
        finally:
            queue.end(batch)
            self._begin(key, queue, work)


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
