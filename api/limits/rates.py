"""So much a second for each key: frames of an address; operations of a token, and time for reading them."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from db.concurrency_limits import ConcurrencyLimit
from schema.errors import RATE_LIMITED, refusal

SHARE: Final = 0.2  # of the time, for one token
BURST: Final = 0.1  # seconds of reading after which a token that was quiet begins to wait
REFUSED_FACTOR: Final = 10  # a refused request counts as if reading it took this many times as long,
REFUSED_SECONDS: Final = 0.002  # and at least this long: receiving and answering it is work too
BURST_SECONDS: Final = 10  # for which a token that was quiet may send operations at any rate
MAX_KEYS: Final = 1_000  # after which those with a full allowance are forgotten


@dataclass(slots=True)
class Allowances:
    """What each key may still spend (a token bucket): it grows by `rate` a second, up to `burst`; below zero it is
    overdrawn."""

    rate: float
    burst: float
    _spent: dict[Hashable, tuple[float, float]] = field(default_factory=dict)  # what was left, and when

    def left(self, key: Hashable) -> float:
        left, at = self._spent.get(key, (self.burst, 0.0))
        return min(left + (time.monotonic() - at) * self.rate, self.burst)

    def spend(self, key: Hashable, amount: float) -> float:
        """What is left to the key after this."""
        now = time.monotonic()
        before, at = self._spent.get(key, (self.burst, 0.0))
        left = min(before + (now - at) * self.rate, self.burst) - amount
        if key not in self._spent and len(self._spent) >= MAX_KEYS:
            self._spent = {each: spent for each, spent in self._spent.items() if self.left(each) < self.burst}
        self._spent[key] = left, now
        return left


class OperationRate:
    """How many operations a second each key may send; 0: any number."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._operations = Allowances(rate=per_second, burst=BURST_SECONDS * per_second)

    def spend(self, key: Hashable) -> None:
        """One operation of the key. Raises Refused (RATE_LIMITED), which costs the key nothing."""
        if not self._per_second:
            return
        missing = 1 - self._operations.left(key)
        if missing > 0:
            raise refusal(
                f"This token sends more than {self._per_second} operations a second: wait, then go on more slowly.",
                RATE_LIMITED,
                most=self._per_second,
                retryAfter=math.ceil(missing / self._per_second),
            )
        self._operations.spend(key, 1)


class Measured:
    def __init__(self, seconds: Allowances, key: Hashable) -> None:
        self._seconds, self._key, self._start = seconds, key, time.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        seconds = time.monotonic() - self._start
        if error is not None:
            seconds = max(seconds * REFUSED_FACTOR, REFUSED_SECONDS)
        self._seconds.spend(self._key, seconds)


class ReadRate:
    """How much of the interpreter's time the reading of one token's requests may take, and how long it waits for that.
    Requests of one key that wait are read one after the other.

    The event loop and the background threads share one interpreter. A client that sends nothing but requests which take
    long to read, and are refused, would slow everybody else down; so it waits, in proportion to the time that it took.
    """

    def __init__(self, share: float = SHARE, burst: float = BURST) -> None:
        self._seconds = Allowances(rate=share, burst=burst)
        self._queues = ConcurrencyLimit(limit=1_000_000, per_key=1)

    def measure(self, key: Hashable) -> "Measured":
        """Counts the time of a block: as it is, or as that of a refusal when the block raises."""
        return Measured(self._seconds, key)

    def wait_seconds(self, key: Hashable) -> float:
        """How long the key waits before its next request is read; 0 or less: not at all."""
        return -self._seconds.left(key) / self._seconds.rate

    @asynccontextmanager
    async def limit(self, key: Hashable) -> AsyncGenerator[None, None]:
        """As `measure`, but waits first, and for other blocks of the same key."""
        async with self._queues.slot(key):
            seconds = self.wait_seconds(key)
            if seconds > 0:
                await asyncio.sleep(seconds)
            with self.measure(key):
                yield
