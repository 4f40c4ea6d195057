"""What became of a request about versions: plain values, kept for those who ask again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    dataset_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Switched:
    """`change` is None where the working set was equal to the version already."""

    dataset_id: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    dataset_id: int
    version: int


@dataclass(frozen=True, slots=True)
class ManifestRequested:
    job: int
