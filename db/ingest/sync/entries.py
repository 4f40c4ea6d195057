"""Reading what is new or changed: images, and the sidecars next to them. No row is written, and no lock is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import asyncpg
from pydantic import TypeAdapter

from db.errors import StorageError
from db.formats.images import ImageLimits
from db.formats.names import LabelNameRule
from db.formats.shapes import Raster
from db.formats.sidecars import Problem, format_of
from db.ingest.entry import Action, Entry, Listed, RefusedName
from db.ingest.images import InspectedImage, Outcome, inspect_images, with_hashes
from db.storage import Head, ObjectMissing, RootMissing, Store, StoredObject

CHUNK: Final = 100  # images whose sidecars are in memory at once, at most
SIDECARS: Final = 16 * 1024 * 1024  # bytes of sidecars in memory at once
MAX_ANNOTATIONS: Final = 20_000  # after which a transaction takes no further entry
STILL_UNREADABLE: Final = "Still not readable as an image; it is tried again when its content changes."
STORED: Final = TypeAdapter(InspectedImage)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do, as planned; `width`, `height` and `orientation` of the image as it was when it was last read.

    `sidecar_path` is what is next to the image, `sidecar_due` whether it is to be read. `annotations`: how many the
    sample has, if its sidecar is due. `image`: what reading gave, if the image was read before.
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

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Item":
        columns = {name: row[name] for name in cls.__slots__}
        return cls(**columns | {"image": row["image"] and STORED.validate_json(row["image"])})

    @property
    def file(self) -> StoredObject:
        return StoredObject(self.path, self.size, self.modified_at, self.etag)

    def without_reading(self) -> InspectedImage | None:
        """The image, where there is no reason to read it."""
        match self.action:
            case "RESTORED" | "SIDECAR":
                return InspectedImage(Outcome.NOT_NEEDED, self.size, self.modified_at, self.etag or "")
            case "UNREADABLE":
                known = (self.size, self.modified_at, self.etag or "")
                return InspectedImage(Outcome.UNREADABLE, *known, problem=STILL_UNREADABLE)
        return None


async def inspect(
    store: Store, items: Sequence[Item], *, kind: str, limits: ImageLimits, label_names: LabelNameRule = "STANDARD"
) -> list[Entry]:
    """Read items of a dataset of this type from the first on, in bounded portions, and stop where there is enough for
    one transaction. `label_names`: the dataset's rule. Raises RootMissing when the whole store is away."""
    form = format_of(kind)
    size = max(1, min(CHUNK, SIDECARS // form.max_bytes))
    entries: list[Entry] = []
    for start in range(0, len(items), size):
        portion = items[start : start + size]
        images = await read_images(store, portion, limits)
        # Two images of one stem share a sidecar, which is read once.
        paths = sorted({item.sidecar_path for item in portion if item.sidecar_due and item.sidecar_path})
        sidecars = dict(zip(paths, await store.heads(paths, length=form.max_bytes + 1), strict=True))
        parse = partial(_entry, images=images, sidecars=sidecars, kind=kind, rule=label_names)
        entries += await asyncio.to_thread(list, map(parse, portion))
        if sum(len(entry.annotations or ()) for entry in entries) >= MAX_ANNOTATIONS:
            break
    return entries


async def read_images(store: Store, items: Sequence[Item], limits: ImageLimits) -> dict[str, InspectedImage]:
    """The images of items by their paths, without their sidecars."""
    known = await with_hashes(store, {item.path: item.image for item in items if item.image is not None})
    known |= {
        item.path: image for item in items if item.path not in known and (image := item.without_reading()) is not None
    }
    return known | await inspect_images(store, [item.file for item in items if item.path not in known], limits)


def _entry(
    item: Item,
    *,
    images: Mapping[str, InspectedImage],
    sidecars: Mapping[str, Head | StorageError],
    kind: str,
    rule: LabelNameRule,
) -> Entry:
    """Parsing takes CPU time: this is called off the loop."""
    image = images[item.path]
    listed = Listed(item.action, item.source_id, item.sidecar_etag)
    warnings = [(item.path, message) for message in image.warnings]
    path = item.sidecar_path if item.sidecar_due else None
    if path is None or image.outcome not in (Outcome.READ, Outcome.NOT_NEEDED):
        return Entry(item.position, item.path, item.path, image, warnings=tuple(warnings), listed=listed)
    head = sidecars[path]
    if isinstance(head, RootMissing):
        raise head
    if isinstance(head, StorageError):
        warnings += [] if isinstance(head, ObjectMissing) else [(path, head.message)]
        return Entry(item.position, item.path, item.path, image, warnings=tuple(warnings), listed=listed)

    def location(problem: Problem) -> str:
        return f"{path}:{problem.line}" if problem.line else path

    facts = image.facts or item  # of one of several images of the sidecar's stem
    raster = Raster(facts.width or 0, facts.height or 0, facts.orientation or 1)
    sidecar = format_of(kind).parse(head.data, rule).on(kind=kind, raster=raster)
    return Entry(
        item.position,
        item.path,
        item.path,
        image,
        sidecar.annotations,
        sidecar.hard,
        warnings=(*warnings, *((location(problem), problem.message) for problem in sidecar.reported)),
        refused_names=tuple(
            RefusedName(name, location(first), first.message, count)
            for name, (first, count) in sidecar.refused_names.items()
        ),
        listed=listed,
        sidecar_etag=item.sidecar_etag,
    )
