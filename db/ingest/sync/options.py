"""The options of a sync, and its checkpoint."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Self

from db.ingest.policy import ExistingWork

LISTED, INSPECTED, MERGED = 0.1, 0.6, 0.95  # the progress ratio after these stages


@dataclass(frozen=True, slots=True)
class Options:
    """`existing`: whether a sidecar may write over what a person labelled. `remove_many`: whatever the guard says.
    `verify_contents`: files are read even if their sizes and times are as before. `dry_run`: nothing is changed, and
    the job says what would be."""

    existing: ExistingWork = "KEEP"
    remove_missing: bool = True
    restore_removed: bool = False
    remove_many: bool = False
    verify_contents: bool = False
    dry_run: bool = False

    @property
    def overwrite(self) -> bool:
        return self.existing == "OVERWRITE"


@dataclass(frozen=True, slots=True)
class Guard:
    """A sync may remove at most this share of a dataset's samples, where it has more than `samples`, unless
    `remove_many` is set."""

    percent: int = 50
    samples: int = 20


USUAL_GUARD: Final = Guard()


# How far a sync is. What comes before the first of them is done again after a crash: it changed nothing.
Stage = Literal["confirm", "inspect", "move", "merge", "remove"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Items 1 to `merges` are to be merged, those up to `items` have vanished; `position` is the last one done.

    `complete`: the listing was, so what it does not show is not there. `images`: the listing's fingerprint. `both`: how
    many samples that were moved are updated, too.
    """

    stage: Stage
    position: int
    merges: int
    items: int
    complete: bool
    images: str = ""
    both: int = 0

    def at(self, stage: Stage, position: int) -> Self:
        return replace(self, stage=stage, position=position)

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self | None:
        return cls(**stored) if stored else None

    def written(self) -> dict[str, Any]:
        return asdict(self)
