"""What reading the requests of one token may take of the interpreter.

The event loop and the background threads share one interpreter. A client that sends nothing but requests which take
long to read, and are refused, would slow everybody else down; so it waits, in proportion to what it took.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Hashable
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from db.concurrency import ConcurrencyLimit

SHARE: Final = 0.2  # of the time, for one token
BURST: Final = 0.1  # seconds of reading for which a token that was quiet does not wait
REFUSED_FACTOR: Final = 10  # a refused request counts as if reading it took this many times as long,
REFUSED_SECONDS: Final = 0.002  # and at least this long: receiving and answering it is work too
REMEMBERED: Final = 1_000  # tokens


class ReadRate:
    """What each key has taken, and how long it waits for that. What takes long is read one after the other."""

    def __init__(self, share: float = SHARE, burst: float = BURST) -> None:
        self.share, self.burst = share, burst
        self._limit = ConcurrencyLimit(1_000_000, per_key=1)
        self._rested: dict[Hashable, float] = {}  # when a key has waited for all that it took

    @contextmanager
    def taking(self, key: Hashable) -> Generator[None, None, None]:
        """Counts the time of the block: as it is, or as that of a refusal when the block raises."""
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            self._count(key, max((time.monotonic() - begun) * REFUSED_FACTOR, REFUSED_SECONDS))
            raise
        self._count(key, time.monotonic() - begun)

    def _count(self, key: Hashable, seconds: float) -> None:
        now = time.monotonic()
        self._rested[key] = max(self._rested.get(key, now), now) + seconds / self.share
        if len(self._rested) > REMEMBERED:
            self._rested = {each: when for each, when in self._rested.items() if when > now}

    def is_due(self, key: Hashable) -> bool:
        """Whether the key took so much lately that it waits."""
        return self._debt(key) > 0

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncGenerator[None, None]:
        """The same, for one at a time of each key, after the pause that the key owes to others."""
        async with self._limit.slot(key):
            if self.is_due(key):
                await asyncio.sleep(self._debt(key))
            with self.taking(key):
                yield

    def _debt(self, key: Hashable) -> float:
        return self._rested.get(key, 0.0) - time.monotonic() - self.burst / self.share
