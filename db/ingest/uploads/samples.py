"""The samples of objects that are in storage already: sources, samples and their labels, in one change."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.annotations import Author
from db.formats.images import ImageFacts
from db.history.changes import RecordedChange, record
from db.identity.tokens import Identity
from db.ingest.decide import NewSource
from db.ingest.entry import Entry
from db.ingest.images import InspectedImage, Outcome
from db.ingest.policy import Policy
from db.ingest.write import LabelIds, NewSample, Writer, make_sources
from db.labelling import annotations, label_resolution
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql
from db.storage import StoredObject

SQL: Final = sql.load(__file__)


def entry_of(position: int, file_name: str, stored: StoredObject, facts: ImageFacts) -> Entry:
    """An uploaded file whose object is in storage; `position` in the request."""
    hashes = (stored.content, stored.pixels, stored.changed_at)
    image = InspectedImage(Outcome.READ, stored.size, stored.modified_at, stored.stamp, facts, "", *hashes)
    return Entry(position, stored.path, file_name, image)


async def write_samples(
    session: AsyncSession,
    dataset_id: int,
    entries: Sequence[Entry],
    *,
    missing: Sequence[str],
    known: LabelIds,
    by: Identity,
) -> tuple[dict[int, int], RecordedChange]:
    """The samples of these entries by their positions, and the change; no sample for an object whose path another
    writer's sample has by now. Labels in `missing` are made, the others are `known`."""
    paths = [entry.path for entry in entries]
    locked = await sql.run(session, SQL.lock_samples, dataset_id=dataset_id, paths=paths)
    summary = "Uploaded 1 image" if len(entries) == 1 else f"Uploaded {len(entries)} images"
    change = await record(session, dataset_id, by.name, "UPLOAD_SAMPLES", summary)
    ids = {**known, **await label_resolution.make(session, dataset_id, missing, change)}
    await sql.run(session, SQL.end_unused_sources, dataset_id=dataset_id, paths=paths)
    occupied = {row["path"] for row in locked}
    fresh = [NewSource(entry.path, entry.image) for entry in entries if entry.image and entry.path not in occupied]
    sources = await make_sources(session, dataset_id, fresh)
    writer = Writer(session, dataset_id, change, Policy("UPLOAD", Author(by.name)))
    new = [
        NewSample(sources[entry.path], entry.path, entry.annotations or ())
        for entry in entries
        if entry.path in sources
    ]
    made = await writer.make_samples(new, ids)
    labelled = [(made[one.path], each) for one in new if one.path in made for each in one.annotations]
    await writer.annotate(sorted(labelled, key=lambda each: (each[0], ids[each[1].label])), ids)
    found = await _label_existing(session, dataset_id, [e for e in entries if e.path not in made], ids, change, by)
    return {entry.position: made[entry.path] for entry in entries if entry.path in made} | found, change


async def _label_existing(
    session: AsyncSession,
    dataset_id: int,
    entries: Sequence[Entry],
    ids: LabelIds,
    change: RecordedChange,
    by: Identity,
) -> dict[int, int]:
    """The samples of entries that a sync met in storage first. They get the labels too, set by set: the files of a
    script have few different ones."""
    if not entries:
        return {}
    rows = await sql.run(session, SQL.existing, dataset_id=dataset_id, paths=[entry.path for entry in entries])
    existing = {(row["path"], row["etag"], row["size"]): row["id"] for row in rows}
    found: dict[int, int] = {}
    groups = defaultdict[tuple[int, ...], list[int]](list)
    for entry in entries:
        assert entry.image is not None
        sample = existing.get((entry.path, entry.image.etag, entry.image.size))
        if sample is not None:
            found[entry.position] = sample
            groups[tuple(sorted(ids[each.label] for each in entry.annotations or ()))].append(sample)
    for labels, samples in groups.items():
        if labels:
            selected = LockedSamples(dataset_id, len(samples), tuple(sorted(samples)))
            await annotations.add_labels(session, selected, list(labels), change, actor=by.name)
            await annotations.refresh_derived_state(session, selected, change, actor=by.name)
    return found
