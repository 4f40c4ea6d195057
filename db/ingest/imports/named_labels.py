"""Labels of the files that an import's options name: of those that no annotation has, one was mistyped."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from db.formats.names import excerpt
from db.ingest.entry import Notice
from db.ingest.imports.options import Options


@dataclass(slots=True)
class NamedLabels:
    """Those that no annotation had so far, each with the list that names it. `is_whole`: all that the files say was
    seen."""

    unseen: set[tuple[str, str]]
    is_whole: bool = True

    @classmethod
    def of(cls, options: Options, *, is_whole: bool = True) -> Self:
        lists = {"include": options.included, "exclude": options.excluded, "map": options.mapped}
        return cls({(name, each) for each, names in lists.items() for name in names or ()}, is_whole)

    def see(self, names: Iterable[str]) -> None:
        if self.unseen:
            seen = set(names)
            self.unseen = {each for each in self.unseen if each[0] not in seen}

    def notices(self, label: str) -> list[Notice]:
        """`label`: of the files."""
        message = "{}: `labels.{}` names `{}`, which no annotation has."
        return [
            Notice("LABEL_NOT_IN_FILES", message.format(label, each, excerpt(name)))
            for name, each in sorted(self.unseen)
            if self.is_whole
        ]
