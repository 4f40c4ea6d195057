"""Patterns for paths below an input path, such as `train/**` or `**/*.jpg`.

    *     any characters of one name, also none
    ?     one character of a name
    **    as a whole part: any number of directories, also none; at the end, everything below

A pattern matches the whole path. All other characters match themselves, upper and lower case differ, and paths and
patterns are compared in NFC. A pattern that ends with `/` means everything below that directory.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Self
from unicodedata import normalize

from db.errors import Invalid
from db.formats.names import excerpt, is_storable, nfc

MAX_PATTERNS: Final = 50
MAX_LENGTH: Final = 256  # characters
RESERVED: Final = frozenset("\\[]{}!")  # they are special in other tools; `?` matches each of them
SYSTEM_NAMES: Final = (
    "__MACOSX", "@eaDir", "@Recycle", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information",
    "lost+found", "Thumbs.db", "ehthumbs.db", "desktop.ini",
)  # fmt: skip
HIDDEN_NAME: Final = rf"(?:\.|(?i:{'|'.join(map(re.escape, SYSTEM_NAMES))})(?=/|\Z))"
ANY_DIRECTORIES: Final = re.compile(r"(?<![^/])\*\*(?![^/])")  # as a whole part of a pattern
HIDDEN: Final = re.compile(f"/{HIDDEN_NAME}")


def validated(patterns: Sequence[str]) -> list[str]:
    """The patterns in NFC, each once. Raises Invalid."""
    if len(patterns) > MAX_PATTERNS:
        raise Invalid(f"At most {MAX_PATTERNS} patterns can be given.", most=MAX_PATTERNS, given=len(patterns))
    valid: dict[str, None] = {}
    for pattern in patterns:
        composed = nfc(pattern)
        if not is_storable(pattern) or not pattern.isprintable() or len(composed) > MAX_LENGTH:
            reason = f"it has 1 to {MAX_LENGTH} characters, none of them a control character"
        elif RESERVED & set(pattern):
            characters = " ".join(sorted(RESERVED))
            reason = f"only `*`, `?` and `**` are special, and {characters} are not allowed; write `?` for one"
        elif any(part in ("", ".", "..") for part in composed.removesuffix("/").split("/")):
            reason = "it is relative to the input path, without empty parts, `.` and `..`"
        else:
            valid[composed] = None
            continue
        raise Invalid(f"`{excerpt(pattern)}` is not a pattern: {reason}.", pattern=excerpt(pattern))
    return list(valid)


def is_hidden(path: str) -> bool:
    """Whether a name on the path begins with a dot, or belongs to an operating system."""
    return HIDDEN.search(f"/{path}") is not None


class Patterns:
    """Several patterns, of which one must match. Unless `hidden`, wildcards match no hidden name, only a pattern that
    has the beginning of the name does."""

    def __init__(self, patterns: Iterable[str], *, hidden: bool) -> None:
        self._hidden = hidden
        self._step = "[^/]+" if hidden else f"(?!{HIDDEN_NAME})[^/]+"
        self._guard = "" if hidden else f"(?!{HIDDEN_NAME})"
        self._patterns = [f"{each}**" if each.endswith("/") else each for each in patterns]
        self._compiled = re.compile("|".join(map(self._translated, self._patterns)))
        endless = [each for each in self._patterns if each.split("/")[-1] == "**"]
        self._endless = re.compile("|".join(map(self._translated, endless))) if endless else None
        self._parts = [[self._part(part) for part in each.split("/")] for each in self._patterns]

    def match(self, path: str) -> bool:
        return self._compiled.match(path) is not None

    def match_below(self, directory: str) -> bool:
        """Whether a pattern that ends with `**` matches all that is below a directory, whose path ends with `/`, hidden
        names apart unless `hidden`."""
        return self._endless is not None and self._endless.match(f"{directory}x") is not None

    def may_match_below(self, directory: str) -> bool:
        """Whether anything below a directory can match."""
        names = directory.split("/")[:-1]
        return any(self._may_follow(parts, names) for parts in self._parts)

    def _may_follow(self, parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
        """Whether names match the first parts, and a part is left; `positions`: of the parts that may come next."""
        positions = {0}
        for name in names:
            following: set[int] = set()
            for position in self._with_skipped(parts, positions):
                part = parts[position]
                if part is None and (self._hidden or not is_hidden(name)):
                    following.add(position)
                elif part is not None and part.match(name):
                    following.add(position + 1)
            positions = {position for position in following if position < len(parts)}
        return bool(positions)

    @staticmethod
    def _with_skipped(parts: Sequence[re.Pattern[str] | None], positions: set[int]) -> set[int]:
        """With those behind any `**` in between, which may stand for no directory."""
        found = set(positions)
        for position in range(min(positions, default=0), len(parts) - 1):
            if position in found and parts[position] is None:
                found.add(position + 1)
        return found

    def _part(self, part: str) -> re.Pattern[str] | None:
        """For one name; None for `**`."""
        return None if part == "**" else re.compile(rf"{self._name(part)}\Z")

    def _translated(self, pattern: str) -> str:
        """A regular expression without backtracking: each part matches at the first position where it can (`(?>…)`)."""
        *groups, last = ([part for part in each.split("/") if part] for each in ANY_DIRECTORIES.split(pattern))
        first, *others = [self._names(group) + ("/" if group else "") for group in groups] or [""]
        if not groups:
            return rf"(?>{self._names(last)}\Z)"
        steps = rf"(?>(?:{self._step}/)*?"
        middle = "".join(f"{steps}{each})" for each in others)
        end = rf"{steps}{self._names(last)}\Z)" if last else rf"(?:{self._step}/)*{self._step}\Z"
        return f"(?>{first}){middle}{end}"

    def _names(self, parts: Sequence[str]) -> str:
        return "/".join(map(self._name, parts))

    def _name(self, part: str) -> str:
        """One name: between two `*` each text is looked for once, the last one at the name's end."""
        first, *others = [
            "".join("[^/]" if c == "?" else re.escape(c) for c in text) for text in re.split(r"\*+", part)
        ]
        guard = self._guard if part[0] in "*?" else ""
        if not others:
            return f"{guard}{first}"
        *middle, last = others
        return f"(?>{guard}{first}" + "".join(f"(?>[^/]*?{text})" for text in middle) + rf"[^/]*{last}(?=/|\Z))"


def fixed_directory(pattern: str) -> str:
    """The directory, of names without wildcards, below which everything lies that a pattern matches; empty for the
    root."""
    names = pattern.split("/")[:-1]
    return "".join(f"{name}/" for name in takewhile(lambda name: not set("*?") & set(name), names))


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What a dataset's `exclude` says, wherever images come from."""

    patterns: Patterns | None = None

    @classmethod
    def of(cls, exclude: Sequence[str]) -> Self:
        return cls(Patterns(exclude, hidden=True) if exclude else None)

    def match(self, path: str) -> bool:
        return self.patterns is not None and self.patterns.match(path if path.isascii() else normalize("NFC", path))

    def match_below(self, directory: str) -> bool:
        """Whether all that is below a directory is excluded, whose path ends with `/`."""
        composed = directory if directory.isascii() else normalize("NFC", directory)
        return self.patterns is not None and self.patterns.match_below(composed)
