"""Reading what is new or changed: images, and the sidecars next to them. No row is written, and no lock is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from db.errors import StorageError
from db.formats.images import ImageLimits
from db.formats.names import LabelNameRule
from db.formats.shapes import Raster
from db.formats.sidecars import Problem, format_of
from db.ingest.entry import Entry, Listed
from db.ingest.images import InspectedImage, Outcome, inspect_images, with_hashes
from db.jobs import LabelWarning
from db.storage import Head, ObjectMissing, RootMissing, Store

CHUNK: Final = 250  # images whose sidecars are in memory at once, at most
SIDECARS: Final = 16 * 1024 * 1024  # bytes of sidecars in memory at once
MAX_ANNOTATIONS: Final = 20_000  # after which a transaction takes no further entry


async def inspect(
    store: Store, items: Sequence[Listed], *, kind: str, limits: ImageLimits, label_names: LabelNameRule = "STANDARD"
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


async def read_images(store: Store, items: Sequence[Listed], limits: ImageLimits) -> dict[str, InspectedImage]:
    """The images of items by their paths, without their sidecars."""
    known = await with_hashes(store, {item.path: item.image for item in items if item.image is not None})
    known |= {
        item.path: image for item in items if item.path not in known and (image := item.without_reading()) is not None
    }
    return known | await inspect_images(store, [item.file for item in items if item.path not in known], limits)


def _entry(
    item: Listed,
    *,
    images: Mapping[str, InspectedImage],
    sidecars: Mapping[str, Head | StorageError],
    kind: str,
    rule: LabelNameRule,
) -> Entry:
    """Parsing takes CPU time: this is called off the loop."""
    image = images[item.path]
    warnings = tuple((item.path, message) for message in image.warnings)
    entry = Entry(item.position, item.path, item.path, image, warnings=warnings, listed=item)
    path = item.sidecar_path if item.sidecar_due else None
    if path is None or image.outcome not in (Outcome.READ, Outcome.NOT_NEEDED):
        return entry
    head = sidecars[path]
    if isinstance(head, RootMissing):
        raise head
    if isinstance(head, ObjectMissing):
        return entry
    if isinstance(head, StorageError):
        return replace(entry, warnings=(*warnings, (path, head.message)))

    def location(problem: Problem) -> str:
        return f"{path}:{problem.line}" if problem.line else path

    facts = image.facts or item  # of one of several images of the sidecar's stem
    raster = Raster(facts.width or 0, facts.height or 0, facts.orientation or 1)
    sidecar = format_of(kind).parse(head.data, rule).on(kind=kind, raster=raster)
    return replace(
        entry,
        annotations=sidecar.annotations,
        hard=sidecar.hard,
        warnings=(*warnings, *((location(problem), problem.message) for problem in sidecar.reported)),
        refused_names=tuple(
            LabelWarning(name, location(first), first.message, count)
            for name, (first, count) in sidecar.refused_names.items()
        ),
        sidecar_etag=item.sidecar_etag,
    )
