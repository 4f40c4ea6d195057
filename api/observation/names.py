"""The names under which operations are counted. Clients choose the names of their operations, and each name is kept as
long as the process lives, so there is a limit. A name with a bracket is none of GraphQL's."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

ANONYMOUS: Final = "(anonymous)"
OTHER: Final = "(other)"
MAX_NAMES: Final = 200
MAX_TRUSTED: Final = 1_000
SHARE: Final = 4  # one token adds at most this part of the names
MAX_LENGTH: Final = 64
NAMED: Final = re.compile(r"\b(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]*)")


@dataclass(slots=True)
class OperationNames:
    """Those of trusted documents, and the first that others bring, of valid documents only."""

    trusted: frozenset[str] = frozenset()
    _added: set[str] = field(default_factory=set)
    _by_token: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, documents: Iterable[str]) -> Self:
        """With the operations of these trusted documents."""
        names = sorted({name for text in documents for name in NAMED.findall(text) if len(name) <= MAX_LENGTH})
        return cls(frozenset(names[:MAX_TRUSTED]))

    def label(self, name: str | None, token_id: int) -> str:
        """The name under which this operation of a token is counted."""
        if name is None:
            return ANONYMOUS
        if name in self._added or name in self.trusted:
            return name
        is_full = len(self._added) >= MAX_NAMES or self._by_token[token_id] >= MAX_NAMES // SHARE
        if is_full or len(name) > MAX_LENGTH:
            return OTHER
        self._added.add(name)
        self._by_token[token_id] += 1
        return name
