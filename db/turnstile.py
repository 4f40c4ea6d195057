"""A turnstile for tasks: thousands that wake at once pass a few at a time, so that everybody else runs in between."""

import asyncio
from collections import deque


class Turnstile:
    """Lets `most` tasks pass in each turn of the event loop, in the order in which they come."""

    def __init__(self, most: int = 4) -> None:
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
