"""CPU-bound work in a thread, so that the event loop is not blocked.

The interpreter switches between threads that compute every few milliseconds. Each kind of work has one thread: with
more, the event loop would wait longer for its turn.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class WorkerThread:
    """Runs work in order. Work whose caller was canceled is not begun."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
