"""What a sync passes over: counted by reason, with a few examples each. The number of groups in memory is bounded."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from db.formats.paths import path_excerpt

EXAMPLES: Final = 10  # paths that are kept of a group
SUFFIXES: Final = 100  # that have a group of their own
SUFFIX_LENGTH: Final = 20  # characters; longer ones are no suffixes


class Reason(StrEnum):
    SUFFIX = "SUFFIX"
    HIDDEN = "HIDDEN"
    EXCLUDED = "EXCLUDED"
    LINK_NOT_ALLOWED = "LINK_NOT_ALLOWED"
    LINK_BROKEN = "LINK_BROKEN"
    LINK_REPEATED = "LINK_REPEATED"
    NOT_A_FILE = "NOT_A_FILE"
    UNREADABLE = "UNREADABLE"
    SIDECAR_WITHOUT_IMAGE = "SIDECAR_WITHOUT_IMAGE"
    SIDECAR_OVERRIDDEN = "SIDECAR_OVERRIDDEN"


Group = tuple[Reason, str | None]


@dataclass(slots=True)
class Ignored:
    """Groups by reason and, for files of other formats, suffix. None is the group of all suffixes beyond the first."""

    counts: Counter[Group] = field(default_factory=Counter)
    examples: defaultdict[Group, list[str]] = field(default_factory=lambda: defaultdict(list))
    suffixes: int = 0

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, reason: Reason, path: str, *, suffix: str | None = None) -> None:
        group = reason, suffix
        if suffix is not None and group not in self.counts:
            if self.suffixes >= SUFFIXES or len(suffix) > SUFFIX_LENGTH or suffix != path_excerpt(suffix):
                group = reason, None
            else:
                self.suffixes += 1
        self.counts[group] += 1
        if len(self.examples[group]) < EXAMPLES:
            self.examples[group].append(path_excerpt(path))

    def add_group(self, reason: Reason, count: int, examples: list[str]) -> None:
        """A group that was counted elsewhere."""
        self.counts[reason, None] += count
        self.examples[reason, None] += map(path_excerpt, examples)

    def rows(self, more: "Ignored") -> list[tuple[str, str | None, int, list[str]]]:
        """All groups of both, the largest first."""
        counts = self.counts + more.counts
        return [
            (reason.value, suffix, count, (self.examples.get(group, []) + more.examples.get(group, []))[:EXAMPLES])
            for group, count in counts.most_common()
            for reason, suffix in [group]
        ]
