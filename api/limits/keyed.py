"""A limit for each token or address: so many at once; more are refused."""

from collections import Counter
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field

from schema.errors import RATE_LIMITED, refusal


@dataclass(slots=True)
class KeyedLimit:
    """At most `limit` at once for each key. `message` says so to the client that is refused."""

    limit: int
    message: str
    _counts: Counter[Hashable] = field(default_factory=Counter)

    @contextmanager
    def acquire(self, key: Hashable) -> Generator[None, None, None]:
        """One more for the key, for as long as the block lasts. Raises Refused (RATE_LIMITED)."""
        if self._counts[key] >= self.limit:
            raise refusal(self.message.format(limit=self.limit), RATE_LIMITED, most=self.limit)
        self._counts[key] += 1
        try:
            yield
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
