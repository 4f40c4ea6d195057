"""Which files of an input path a sync takes, by their paths alone; and what it passes over, counted by reason, with a
few examples each. The number of groups in memory is bounded."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self
from unicodedata import normalize

import asyncpg

from db.formats.images import SUFFIXES, USUAL, Format
from db.formats.names import LabelNameRule
from db.formats.paths import path_excerpt, suffix
from db.formats.patterns import Exclusion, Patterns, fixed_directory, is_hidden
from db.formats.sidecars import format_of
from db.formats.sidecars.pairing import IMAGE_DIRECTORIES, LABEL_DIRECTORIES

EXAMPLES: Final = 10  # paths that are kept of a group
MAX_SUFFIXES: Final = 100  # that have a group of their own
COMPOSED_TO_ASCII: Final = frozenset("K;`")  # what U+212A, U+037E and U+1FEF are in NFC
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


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a dataset: its type, its rule for label names, its patterns, and the formats of images that it takes. Without
    `include` all images of these are taken; `included` are its patterns as they are written."""

    kind: str
    label_names: LabelNameRule = "STANDARD"
    include: Patterns | None = None
    exclude: Exclusion = Exclusion()
    formats: Collection[Format] = USUAL
    included: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: asyncpg.Record) -> Self:
        include, exclude = dataset["include"], dataset["exclude"]
        return cls(
            dataset["type"],
            dataset["label_names"],
            Patterns(include, hidden=False) if include else None,
            Exclusion.of(exclude),
            tuple(dataset["image_formats"]),
            tuple(include),
        )

    @property
    def sidecar(self) -> str:
        """The suffix of its sidecars."""
        return format_of(self.kind).suffix

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The directories below which everything lies that is included, label files too; the root is the empty one."""
        found: list[str] = []
        for each in sorted({_listed_directory(pattern) for pattern in self.included}):
            if not found or not each.startswith(found[-1]):
                found.append(each)
        return tuple(found) or ("",)

    def passes_over(self, directory: str) -> Reason | None:
        """Why nothing below a directory can become a sample or belong to one; its path ends with `/`. Label files lie
        in other directories than their images only where these are in one for images."""
        if self.exclude.match_below(directory):
            return Reason.EXCLUDED
        composed = directory if directory.isascii() else normalize("NFC", directory)
        if self.include is None:
            return Reason.HIDDEN if is_hidden(composed) else None
        if self.include.may_match_below(composed) or any(each in LABEL_DIRECTORIES for each in composed.split("/")):
            return None
        return Reason.HIDDEN if is_hidden(composed) else Reason.EXCLUDED

    def passed_over(self, directory: str) -> str | None:
        """The highest directory on the way to one, itself included, that is passed over."""
        if self.include is None and self.exclude.patterns is None and not is_hidden(directory):
            return None
        ends = (at + 1 for at, character in enumerate(directory) if character == "/")
        return next((directory[:end] for end in ends if self.passes_over(directory[:end])), None)

    def includes(self, path: str) -> bool:
        kind = suffix(path)
        return kind in SUFFIXES and self.reason_against(path, kind) is None

    def reason_against(self, path: str, kind: str) -> Reason | None:
        """Why an image or a sidecar with this suffix is passed over. To a dataset that does not take its format, an
        image is a file like any other."""
        reason, form = self._reason_against(path, kind), SUFFIXES.get(kind)
        is_other = form is not None and form not in self.formats and reason is not Reason.HIDDEN
        return Reason.SUFFIX if is_other else reason

    def _reason_against(self, path: str, kind: str) -> Reason | None:
        """`include` is about images: their sidecars come with them."""
        if self.exclude.match(path):
            return Reason.EXCLUDED
        composed = path if path.isascii() else normalize("NFC", path)
        included = self.include is not None and self.include.match(composed)
        if is_hidden(composed):
            return None if included else Reason.HIDDEN
        if self.include is None or included or kind == self.sidecar:
            return None
        return Reason.EXCLUDED


def _listed_directory(pattern: str) -> str:
    """The fixed directory of a pattern, up to one for images, whose label files may be in one beside it, and up to a
    name with another form in Unicode: ASCII characters have one, or a few of them, which compose to them."""
    names = fixed_directory(pattern).split("/")[:-1]
    is_kept = [
        name.isascii() and name not in IMAGE_DIRECTORIES and COMPOSED_TO_ASCII.isdisjoint(name) for name in names
    ]
    return "".join(f"{name}/" for name in names[: [*is_kept, False].index(False)])


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
            if self.suffixes >= MAX_SUFFIXES or len(suffix) > SUFFIX_LENGTH or suffix != path_excerpt(suffix):
                group = reason, None
            else:
                self.suffixes += 1
        self.counts[group] += 1
        if len(self.examples[group]) < EXAMPLES:
            self.examples[group].append(path_excerpt(path))

    def add_group(self, group: Group, count: int, examples: list[str]) -> None:
        """One that was counted elsewhere."""
        self.counts[group] += count
        self.examples[group] += map(path_excerpt, examples)

    def rows(self) -> list[tuple[str, str | None, int, list[str]]]:
        """All groups, the largest first."""
        groups = self.counts.most_common()
        return [(*group, count, self.examples[group][:EXAMPLES]) for group, count in groups]
