"""A token bucket: so many frames a second, and so many at once after a pause."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Allowance:
    """What may still be sent. It grows by `rate` a second, up to `burst`; below zero it is overdrawn."""

    rate: float
    burst: float
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.burst, time.monotonic()

    def spend(self, amount: float = 0) -> float:
        """What is left after this."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self.rate, self.burst) - amount
        self._at = now
        return self._left
