"""What a sync was asked to do, and the shape of its checkpoint."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self

Existing = Literal["KEEP", "OVERWRITE"]


@dataclass(frozen=True, slots=True)
class Options:
    """`existing`: whether a sidecar may write over what a person labelled."""

    existing: Existing = "KEEP"
    remove_missing: bool = True
    restore_removed: bool = False

    @property
    def overwrite(self) -> bool:
        return self.existing == "OVERWRITE"


class Stage(StrEnum):
    """How far a sync is. What comes before the first of them is done again after a crash: it changed nothing."""

    CONFIRM = "confirm"
    MERGE = "merge"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Items 1 to `merges` are to be merged, those up to `items` have vanished; `position` is the last one done."""

    stage: Stage
    position: int
    merges: int
    items: int

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self | None:
        return cls(Stage(stored["stage"]), stored["position"], stored["merges"], stored["items"]) if stored else None

    def written(self) -> dict[str, Any]:
        return {"stage": self.stage, "position": self.position, "merges": self.merges, "items": self.items}
