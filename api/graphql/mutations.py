"""Mutations outlast their clients: one that has begun is finished, and its answer kept under its key."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Begin = Callable[[], None]  # called by a mutation once it begins


@dataclass(slots=True)
class Mutations:
    """The mutations that this process runs or keeps waiting."""

    _running: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self, work: Callable[[Begin], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`. When this is canceled the work goes on, unless it has not begun: clients that send
        mutations and leave would have any number of them wait."""
        begun = asyncio.Event()
        task = asyncio.create_task(work(begun.set))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not begun.is_set():
                task.cancel()
            raise

    async def finish(self) -> None:
        """Wait for those that run."""
        while self._running:
            await asyncio.wait(self._running)
