"""The record in which every source of samples says what it has: an image, and what is known of it.

A listing with its sidecars, a manifest and an upload differ in how they find their entries. After that all of
them take the same steps: `decide`, then `write`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg
from pydantic import TypeAdapter

from db.formats.annotations import ParsedAnnotation
from db.formats.timestamps import microseconds
from db.ingest.images import InspectedImage, Outcome
from db.jobs import LabelWarning
from db.storage import StoredObject

STILL_UNREADABLE: Final = "Still not readable as an image; a sync tries again when its content changes."
STORED: Final = TypeAdapter(InspectedImage)
Action = Literal["NEW", "CHANGED", "RESTORED", "SIDECAR", "UNREADABLE"]


NoticeKind = Literal[
    "CONTENT",
    "NO_IMAGES",
    "NO_LABELS",
    "IMAGES_NOT_STORED",
    "NOTHING_CHANGED",
    "FILES_NOT_READ",
    "LABEL_NAME",
    "USAGE_UNKNOWN",
    "LABEL_NOT_IN_FILES",
    "SHAPE_BEYOND_IMAGE",
    "LABELS_KEPT",
    "MATCHED_BY_PATH_END",
    "MATCHED_BY_NAME",
    "IMAGE_AMBIGUOUS",
    "IMAGE_EXCLUDED",
    "IMAGE_MISSING",
    "IMAGE_REPEATED",
    "IMAGE_DIFFERS",
    "IMAGE_UNREADABLE",
    "SAMPLE_DELETED",
]


@dataclass(frozen=True, slots=True)
class Notice:
    """What an import says of some of its lines or images together: those of a kind are counted, and the first named."""

    kind: NoticeKind
    example: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """What a sync planned for a file, compared with the source that was known at its path; `width`, `height` and
    `orientation` of the image as it was when it was last read.

    `sidecar_path` and `sidecar_etag` are of what is next to the image, `sidecar_due` whether it is to be read.
    `annotations`: how many the sample has, if its sidecar is due. `image`: what reading gave, if it was read before.
    `moved`: the sample, from another path to this one.
    """

    position: int
    action: Action
    path: str
    size: int
    modified_at: datetime
    etag: str | None
    source_id: int | None
    sidecar_path: str | None
    sidecar_etag: str | None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    sidecar_due: bool = False
    annotations: int = 0
    image: InspectedImage | None = None
    moved: bool = False

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Listed":
        columns = {name: row[name] for name in cls.__slots__}
        return cls(**columns | {"image": row["image"] and STORED.validate_json(row["image"])})

    @property
    def file(self) -> StoredObject:
        return StoredObject(self.path, self.size, microseconds(self.modified_at), self.etag)

    def without_reading(self) -> InspectedImage | None:
        """The image, where there is no reason to read it."""
        match self.action:
            case "RESTORED" | "SIDECAR":
                return InspectedImage(Outcome.NOT_NEEDED, self.size, self.modified_at, self.etag or "")
            case "UNREADABLE":
                known = (self.size, self.modified_at, self.etag or "")
                return InspectedImage(Outcome.UNREADABLE, *known, problem=STILL_UNREADABLE)
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image. `position` is its index in the source's order, and what a checkpoint counts.

    `image` None: there is a sample at the path, whose image was not read. `annotations` None: the source says nothing
    that can be used, and labels stay; empty: there are none. `refused`: why it can be no sample, and `refused_as` the
    kind of that. `location`: where the entry is, in warnings. `listed` None: what to do follows from the path alone.
    """

    position: int
    path: str
    location: str
    image: InspectedImage | None = None
    annotations: tuple[ParsedAnnotation, ...] | None = None
    hard: bool | None = None
    usage: str | None = None
    refused: str | None = None
    refused_as: NoticeKind = "CONTENT"
    warnings: tuple[tuple[str, str], ...] = ()  # location and message
    notices: tuple[Notice, ...] = ()
    refused_names: tuple[LabelWarning, ...] = ()
    listed: Listed | None = None
    sidecar_etag: str | None = None  # of the sidecar that was read

    @property
    def key(self) -> int | str | None:
        """What an existing sample is found by: the source that a sync knows, else the path."""
        return self.path if self.listed is None else self.listed.source_id
