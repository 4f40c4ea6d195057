"""What an import was asked to do, and the shape of its checkpoint."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Self

from db.formats.names import is_storable, nfc

Existing = Literal["KEEP", "OVERWRITE"]
BY_HAND: Final = ("MANUAL", "UPLOAD")  # the origins of what a person, or his script, put last


@dataclass(frozen=True, slots=True)
class Options:
    """`manifest`: the file's one form. `source_root`: what the manifest's sources lie below, in its one form, ending
    with a slash. `dataset_ids`: of a token confined to them, whose locations are all that may be read."""

    manifest: str
    existing: Existing = "KEEP"
    source_root: str | None = None
    restore_removed: bool = False
    confirm_suggestions: bool = False
    included: list[str] | None = None
    excluded: list[str] | None = None
    dataset_ids: list[int] | None = None

    def arguments(self) -> dict[str, Any]:
        """As a job keeps them."""
        return asdict(self)

    def may_label(self, origin: str | None) -> bool:
        """Whether labels that came to a sample this way may be replaced."""
        return self.existing == "OVERWRITE" or origin not in BY_HAND

    def wants(self, name: str) -> bool:
        """Whether labels of this name are imported."""
        return (self.included is None or name in self.included) and name not in (self.excluded or ())


def label_names(given: Iterable[str] | None) -> list[str] | None:
    """Names in their one form; those that no label can have are left out."""
    return None if given is None else [nfc(name) for name in given if is_storable(name)]


class Stage(StrEnum):
    """How far an import is. Before the first of them it reads the manifest, which changes nothing."""

    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Staged lines up to `position` are done; `last` is the last one there is, of `lines` altogether."""

    stage: Stage
    position: int
    last: int
    lines: int

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self | None:
        return cls(Stage(stored["stage"]), stored["position"], stored["last"], stored["lines"]) if stored else None

    def written(self) -> dict[str, Any]:
        return {"stage": self.stage, "position": self.position, "last": self.last, "lines": self.lines}
