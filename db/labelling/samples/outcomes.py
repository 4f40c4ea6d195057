"""What became of a request about samples: plain values, kept for those who ask again."""

from dataclasses import dataclass

from db.labelling.source_references import Impact


@dataclass(frozen=True, slots=True)
class Labelled:
    """`samples`: those a payload shows. `change` is None when nothing changed."""

    dataset_id: int
    matched: int
    changed: int
    not_found: tuple[int, ...] = ()
    samples: tuple[int, ...] = ()
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """Of a dry run: what would be. `with_sources`: the change's intents are to be carried out after the commit."""

    dataset_id: int
    deleted: int
    not_found: tuple[int, ...] = ()
    with_sources: bool = False
    change: int | None = None
    warnings: tuple[Impact, ...] = ()
