"""Shares of what a process has little of: so many at once for each token or address; others are refused, or wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Hashable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field


class ShareTaken(Exception):
    """This key has as many as it may have."""


@dataclass(slots=True)
class Shares:
    """At most `most` at once for each key; more are refused."""

    most: int
    _taken: Counter[Hashable] = field(default_factory=Counter)

    @contextmanager
    def take(self, key: Hashable) -> Generator[None, None, None]:
        """Raises ShareTaken."""
        if self._taken[key] >= self.most:
            raise ShareTaken
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


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
