"""Which files of an import its reader does not read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Final

from db.formats.datasets.reading import Files
from db.formats.paths import suffix
from db.ingest.imports.files.source import is_image

MAX_OPENED: Final = 10_000  # names that are remembered, beyond which their suffixes are
SILENT: Final = ("", ".md", ".html", ".pdf")  # of what describes a data set to people
DESCRIPTIONS: Final = ("label_config.xml", "croissant.json")  # that our own exports have in addition to the labels
KNOWN: Final[Mapping[str, re.Pattern[str]]] = {  # what else these formats have, and says no more than the rest
    "PASCAL_VOC": re.compile(r"(.*/)?(ImageSets/.*\.txt|labelmap\.txt)"),
    "WEBDATASET": re.compile(r".*\.cls"),
}


@dataclass(slots=True)
class ReadFiles:
    """Files as a reader sees them, which notes what it reads: of the small ones next to images only the suffix."""

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

    def passed_over(self, most: int, form: str) -> tuple[list[str], int]:
        """The first of them, and how many there are."""
        known = KNOWN.get(form)
        names = (
            name
            for name in self.files.names()
            if self._is_passed_over(name) and not (known is not None and known.fullmatch(name))
        )
        first = list(islice(names, most))
        return first, len(first) + sum(1 for _ in names)

    def _is_passed_over(self, name: str) -> bool:
        last, end = name.rpartition("/")[2].lower(), suffix(name)
        is_known = is_image(name) or end in self.suffixes or end in SILENT or name in self.opened
        return not is_known and last not in DESCRIPTIONS and not last.startswith(("readme", "license"))
