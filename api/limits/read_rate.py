"""How much of the interpreter's time the reading of one token's requests may take.

The event loop and the background threads share one interpreter. A client that sends nothing but requests which take
long to read, and are refused, would slow everybody else down; so it waits, in proportion to the time that it took.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Hashable
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from db.concurrency_limits import ConcurrencyLimit

SHARE: Final = 0.2  # of the time, for one token
BURST: Final = 0.1  # seconds of reading after which a token that was quiet begins to wait
REFUSED_FACTOR: Final = 10  # a refused request counts as if reading it took this many times as long,
REFUSED_SECONDS: Final = 0.002  # and at least this long: receiving and answering it is work too
MAX_KEYS: Final = 1_000  # after which those that need not wait are forgotten


class ReadRate:
    """The time that each key has used, and how long it waits for that. Requests of one key that wait are read one
    after the other."""

    def __init__(self, share: float = SHARE, burst: float = BURST) -> None:
        self.share, self.burst = share, burst
        self._queues = ConcurrencyLimit(limit=1_000_000, per_key=1)
        self._paid_at: dict[Hashable, float] = {}  # when a key has waited for all the time that it used

    @contextmanager
    def measure(self, key: Hashable) -> Generator[None, None, None]:
        """Counts the time of the block: as it is, or as that of a refusal when the block raises."""
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self._count(key, max((time.monotonic() - start) * REFUSED_FACTOR, REFUSED_SECONDS))
            raise
        self._count(key, time.monotonic() - start)

    def _count(self, key: Hashable, seconds: float) -> None:
        now = time.monotonic()
        self._paid_at[key] = max(self._paid_at.get(key, now), now) + seconds / self.share
        if len(self._paid_at) > MAX_KEYS:
            self._paid_at = {each: paid_at for each, paid_at in self._paid_at.items() if paid_at > now}

    def wait_seconds(self, key: Hashable) -> float:
        """How long the key waits before its next request is read; 0 or less: not at all."""
        return self._paid_at.get(key, 0.0) - time.monotonic() - self.burst / self.share

    @asynccontextmanager
    async def limit(self, key: Hashable) -> AsyncGenerator[None, None]:
        """As `measure`, but waits first, and for other blocks of the same key."""
        async with self._queues.slot(key):
            seconds = self.wait_seconds(key)
            if seconds > 0:
                await asyncio.sleep(seconds)
            with self.measure(key):
                yield
