"""Work that goes on in the event loop's next turn, so that other connections get theirs."""

import asyncio
from collections.abc import Callable


class NextTurn:
    """Calls a function in the next turn, once however often it is asked to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
        self._loop, self._function = loop, function
        self._scheduled: asyncio.Handle | None = None

    def schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = self._loop.call_soon(self._function)

    def cancel(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
