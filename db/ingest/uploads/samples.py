"""The samples of objects that are in storage already: sources, samples and their labels, in one change."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.annotations import Author, ParsedAnnotation
from db.history.changes import RecordedChange, record
from db.identity.tokens import Identity
from db.ingest.decide import Decisions
from db.ingest.entry import Entry
from db.ingest.policy import Policy
from db.ingest.write import LabelIds, Writer
from db.labelling import annotations, label_resolution, verdicts
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql

SQL: Final = sql.load(__file__)


async def write_samples(
    session: AsyncSession, dataset_id: int, files: Sequence[tuple[Entry, Sequence[str]]], known: LabelIds, by: Identity
) -> tuple[dict[int, int], RecordedChange]:
    """The samples of these entries by their positions, and the change; no sample for an object whose path another
    writer's sample has by now. They get the labels of these names; those that are not `known` are made."""
    paths = [entry.path for entry, _ in files]
    locked = await sql.run(session, SQL.lock_samples, dataset_id=dataset_id, paths=paths)
    summary = "Uploaded 1 image" if len(files) == 1 else f"Uploaded {len(files)} images"
    change = await record(session, dataset_id, by.name, "UPLOAD_SAMPLES", summary)
    missing = dict.fromkeys(name for _, names in files for name in names if name not in known)
    ids = {**known, **await label_resolution.make(session, dataset_id, list(missing), change)}
    entries = {
        entry.path: replace(entry, annotations=tuple(map(ParsedAnnotation, sorted(names, key=ids.__getitem__))))
        for entry, names in files
    }
    await sql.run(session, SQL.end_unused_sources, dataset_id=dataset_id, paths=paths)
    occupied = {row["path"] for row in locked}
    decisions = Decisions(added=[(entry, None) for path, entry in entries.items() if path not in occupied])
    made = await Writer(session, dataset_id, change, Policy("UPLOAD", Author(by.name))).write(decisions, ids)
    others = {path: entry for path, entry in entries.items() if path not in made}
    made |= await _label_existing(session, dataset_id, others, ids, change, by)
    return {entries[path].position: sample for path, sample in made.items()}, change


async def _label_existing(
    session: AsyncSession,
    dataset_id: int,
    entries: Mapping[str, Entry],
    ids: LabelIds,
    change: RecordedChange,
    by: Identity,
) -> dict[str, int]:
    """The samples, by path, of entries that a sync met in storage first. They get the labels too, set by set: the files
    of a script have few different ones."""
    if not entries:
        return {}
    found: dict[str, int] = {}
    groups = defaultdict[tuple[int, ...], list[int]](list)
    for row in await sql.run(session, SQL.existing, dataset_id=dataset_id, paths=list(entries)):
        entry = entries[row["path"]]
        assert entry.image is not None
        if (row["etag"], row["size"]) == (entry.image.etag, entry.image.size):
            found[entry.path] = row["id"]
            groups[tuple(ids[each.label] for each in entry.annotations or ())].append(row["id"])
    for labels, samples in groups.items():
        if labels:
            selected = LockedSamples(dataset_id, len(samples), tuple(sorted(samples)))
            flags = await verdicts.suggestion_flags(session, dataset_id, labels)
            await annotations.add_labels(session, selected, list(labels), change, actor=by.name, flags=flags)
            await annotations.refresh_derived_state(session, selected, change, actor=by.name)
    return found
