"""Shares of what a process has little of: so many at once for each token or address; more are refused.

Where they wait instead, see `db/concurrency.py`.
"""

from collections import Counter
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field


class LimitReached(Exception):
    """This key has as many as it may have."""


@dataclass(slots=True)
class KeyedLimit:
    """At most `most` at once for each key; more are refused."""

    most: int
    _taken: Counter[Hashable] = field(default_factory=Counter)

    @contextmanager
    def take(self, key: Hashable) -> Generator[None, None, None]:
        """Raises ShareTaken."""
        if self._taken[key] >= self.most:
            raise LimitReached
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
