"""The record in which every source of samples says what it has: an image, and what is known of it.

A listing with its sidecars, a manifest and an upload differ in how they find their entries. After that all of
them take the same steps: `decide`, then `write`.
"""

from dataclasses import dataclass
from typing import Literal

from db.formats.annotations import ParsedAnnotation
from db.ingest.images import InspectedImage

Action = Literal["NEW", "CHANGED", "RESTORED", "SIDECAR", "UNREADABLE"]


@dataclass(frozen=True, slots=True)
class RefusedName:
    """A name that no label of the dataset can have, where it is first, and how often it occurs."""

    name: str
    location: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """What a sync planned for a file, compared with the source that was known at its path.

    `sidecar_etag`: of the sidecar next to it, whether it was read or not.
    """

    action: Action
    source_id: int | None
    sidecar_etag: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image. `position` is its index in the source's order, and what a checkpoint counts.

    `image` None: there is a sample at the path, whose image was not read. `annotations` None: the source says nothing
    that can be used, and labels stay; empty: there are none. `refused`: why it can be no sample. `location`: where the
    entry is, in warnings. `listed` None: what to do follows from the path alone.
    """

    position: int
    path: str
    location: str
    image: InspectedImage | None = None
    annotations: tuple[ParsedAnnotation, ...] | None = None
    hard: bool | None = None
    usage: str | None = None
    refused: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()  # location and message
    refused_names: tuple[RefusedName, ...] = ()
    listed: Listed | None = None
    sidecar_etag: str | None = None  # of the sidecar that was read

    @property
    def key(self) -> int | str | None:
        """What an existing sample is found by: the source that a sync knows, else the path."""
        return self.path if self.listed is None else self.listed.source_id
