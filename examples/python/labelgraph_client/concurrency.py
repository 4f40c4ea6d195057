"""Doing several things at once, but not too many: with tasks for the async client, with threads for the other.

The first error is raised, and nothing is begun after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
