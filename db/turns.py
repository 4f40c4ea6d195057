"""Taking turns: so many at once, and of them so many for each owner; others wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """At most `most` at once, of which each key has at most `each`; the others wait for their turn."""

    def __init__(self, most: int, each: int) -> None:
        self.each = max(each, 1)
        self._all = asyncio.Semaphore(max(most, 1))
        self._keys: dict[Hashable, asyncio.Semaphore] = {}
        self._users: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncGenerator[None, None]:
        own = self._keys.setdefault(key, asyncio.Semaphore(self.each))
        self._users[key] += 1
        try:
            async with own, self._all:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._keys[key]
