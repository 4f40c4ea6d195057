"""Doing several things at once, but not too many: with tasks for the async client, with threads for the other.

The first error is raised, and nothing is begun after it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TypeVar

from labelgraph_client.errors import CANCELED, LabelgraphError

T = TypeVar("T")
R = TypeVar("R")


async def map_async(function: Callable[[T], Awaitable[R]], items: Iterable[T], at_once: int) -> list[R]:
    limit = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with limit:
            return await function(item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def map_threads(function: Callable[[T], R], items: Iterable[T], at_once: int) -> list[R]:
    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


async def in_a_task(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The items, as a task reads them that is canceled when nobody wants more.

    A program that ends closes all generators at the same time, and one that is being closed cannot be closed by the one
    that reads from it. Tasks are canceled before that: then `items` ends from the inside.
    """
    read: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    async def read_all() -> None:
        async with aclosing(items):
            async for item in items:
                read.put_nowait((item,))
                await read.join()

    def end(task: asyncio.Task[None]) -> None:
        canceled = LabelgraphError("The task that reads this was canceled.", CANCELED)
        read.put_nowait(canceled if task.cancelled() else task.exception())

    task = asyncio.create_task(read_all())
    task.add_done_callback(end)
    try:
        while (found := await read.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            read.task_done()
            yield found[0]
    finally:
        task.cancel()


def as_they_are(items: Iterator[T]) -> Iterator[T]:
    """The items: without `async` a generator is closed where it is left, and reads in the thread that asks."""
    return items
