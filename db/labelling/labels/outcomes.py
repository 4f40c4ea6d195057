"""What became of a request about labels: plain values, kept for those who ask again."""

from dataclasses import dataclass

from db.labelling.source_references import Impact


@dataclass(frozen=True, slots=True)
class Created:
    dataset_id: int
    labels: tuple[int, ...]
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Updated:
    dataset_id: int
    label: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Renamed:
    """`label` is the one that has the name now: after a merge, the one that had it before."""

    dataset_id: int
    label: int
    affected_samples: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """Of a dry run: what would be. `with_sources`: the change's intents are to be carried out after the commit."""

    dataset_id: int
    labels: tuple[int, ...]
    affected_samples: int
    deleted_samples: int
    with_sources: bool = False
    change: int | None = None
    warnings: tuple[Impact, ...] = ()
