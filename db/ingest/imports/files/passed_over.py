"""Which files of an import its reader does not read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Final

from db.formats.datasets.reading import Files
from db.formats.paths import suffix
from db.ingest.imports.files.source import is_image

MAX_OPENED: Final = 10_000  # names that are remembered, beyond which their suffixes are
SILENT: Final = ("", ".md", ".html", ".pdf")  # of what describes a data set to people
DESCRIPTIONS: Final = ("label_config.xml", "croissant.json")  # that our own exports have beside the labels


@dataclass(slots=True)
class ReadFiles:
    """Files as a reader sees them, which notes what it reads: of the small ones beside images only the suffix."""

    files: Files
    opened: set[str] = field(default_factory=set)
    suffixes: set[str] = field(default_factory=set)

    def names(self) -> Iterable[str]:
        return self.files.names()

    def open(self, name: str) -> BinaryIO:
        if len(self.opened) < MAX_OPENED:
            self.opened.add(name)
        else:
            self.suffixes.add(suffix(name))
        return self.files.open(name)

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        return self.files.contents(map(self._noted, names), length)

    def _noted(self, name: str) -> str:
        self.suffixes.add(suffix(name))
        return name

    def passed_over(self, most: int) -> tuple[list[str], int]:
        """The first of them, and how many there are."""
        names = filter(self._is_passed_over, self.files.names())
        first = list(islice(names, most))
        return first, len(first) + sum(1 for _ in names)

    def _is_passed_over(self, name: str) -> bool:
        last, end = name.rpartition("/")[2].lower(), suffix(name)
        is_known = is_image(name) or end in self.suffixes or end in SILENT or name in self.opened
        return not is_known and last not in DESCRIPTIONS and not last.startswith(("readme", "license"))
