"""Doing several things at once, but not too many: with tasks for the async client, with threads for the other."""

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

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


def map_threads(function: Callable[[T], R], items: Iterable[T], at_once: int) -> list[R]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(function, items))
