"""Which files of an input path a sync takes, by their paths alone."""

from dataclasses import dataclass
from typing import Self
from unicodedata import normalize

import asyncpg

from db.formats.images import SUFFIXES
from db.formats.names import LabelNameRule
from db.formats.paths import suffix
from db.formats.patterns import Patterns, is_hidden
from db.formats.sidecars import format_of
from db.ingest.sync.ignored import Reason


@dataclass(frozen=True, slots=True)
class Rules:
    """Of a dataset: its type, its rule for label names, and its patterns. Without `include` all images are taken."""

    kind: str
    label_names: LabelNameRule = "STANDARD"
    include: Patterns | None = None
    exclude: Patterns | None = None

    @classmethod
    def of(cls, dataset: asyncpg.Record) -> Self:
        include, exclude = dataset["include"], dataset["exclude"]
        return cls(
            dataset["type"],
            dataset["label_names"],
            Patterns(include, hidden=False) if include else None,
            Patterns(exclude, hidden=True) if exclude else None,
        )

    @property
    def sidecar(self) -> str:
        """The suffix of its sidecars."""
        return format_of(self.kind).suffix

    def includes(self, path: str) -> bool:
        return suffix(path) in SUFFIXES and self.reason_against(path) is None

    def reason_against(self, path: str) -> Reason | None:
        """Why an image or a sidecar is passed over. `include` is about images: their sidecars come with them."""
        composed = path if path.isascii() else normalize("NFC", path)
        if self.exclude is not None and self.exclude.match(composed):
            return Reason.EXCLUDED
        included = self.include is not None and self.include.match(composed)
        if is_hidden(composed):
            return None if included else Reason.HIDDEN
        if self.include is None or included or suffix(path) == self.sidecar:
            return None
        return Reason.EXCLUDED
