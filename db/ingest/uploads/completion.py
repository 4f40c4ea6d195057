"""completeUploads, its second half: the samples of what was written, in one change. A sample that a sync has made of
our object in between is ours; what another call has completed is reported as it is."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, NotFound
from db.formats.annotations import ParsedAnnotation
from db.history.changes import RecordedChange, lock_dataset
from db.identity.tokens import Identity
from db.ingest.entry import Entry
from db.ingest.uploads import outcomes
from db.ingest.uploads.files import STAGING
from db.ingest.uploads.outcomes import Completed, Completion, InspectedUploads, Upload
from db.ingest.uploads.samples import write_samples
from db.ingest.uploads.staging import refused_labels
from db.labelling import label_resolution, labels
from db.postgres import sql
from db.storage import ObjectExists, Stores

SQL: Final = sql.load(__file__)
DISCARD_TIMEOUT: Final = 5.0  # seconds for which a client waits for what concerns us alone


async def complete(session: AsyncSession, dataset_id: int, inspected: InspectedUploads, *, by: Identity) -> Completion:
    await lock_dataset(session, dataset_id, by)
    rows = await outcomes.rows(session, dataset_id, inspected.keys)
    entries = {entry.position: entry for entry in inspected.entries}
    results: dict[str, Completed] = {}
    waiting: list[tuple[Upload, Entry]] = []
    for number, key in enumerate(inspected.keys):
        result = _without_sample(number, rows.get(key), inspected, entries)
        if result is None:
            waiting.append((rows[key], entries[number]))
        else:
            results[key] = result
    made, change = await _make_samples(session, dataset_id, waiting, by)
    results |= made
    ended = [(rows[key], one) for key, one in results.items() if one.ended and rows[key].is_open]
    if ended:
        paths = {inspected.keys[number]: entry.path for number, entry in entries.items()}
        await sql.run(
            session,
            SQL.finish,
            ids=[row.id for row, _ in ended],
            paths=[paths.get(row.key, row.path) for row, _ in ended],
            samples=[one.sample for _, one in ended],
            codes=[one.code for _, one in ended],
            messages=[one.message or None for _, one in ended],
        )
    return Completion(
        dataset_id,
        inspected.input_path,
        tuple(results[key] for key in inspected.keys),
        tuple(STAGING + row.staged for row, _ in ended),
        change.id if change else None,
    )


async def discard(stores: Stores, completion: Completion) -> None:
    """Clear away what was staged. What resists is left to the sweep."""
    if completion.staged:
        with suppress(DomainError, TimeoutError):
            async with asyncio.timeout(DISCARD_TIMEOUT):
                await stores.open(completion.input_path).discard(completion.staged)


def _without_sample(
    number: int, row: Upload | None, inspected: InspectedUploads, entries: Mapping[int, Entry]
) -> Completed | None:
    """The outcome of a key for which no sample is to be made; None: one is."""
    key = inspected.keys[number]
    if row is None:
        missing = NotFound("No upload was requested under this key, or it was forgotten since: request it.")
        return Completed(key, code=missing.code, message=missing.message)
    if not row.is_open and row.error_code is not None:
        return Completed(key, row.file_name, code=row.error_code, message=row.error or "", ended=True)
    if not row.is_open and row.sample is None:
        gone = NotFound("Its sample was deleted since; request it anew to upload it again.", code="SAMPLE_NOT_FOUND")
        return row.refused(gone, ended=True)
    if not row.is_open:
        return Completed(key, row.file_name, row.sample, ended=True)
    # What was found out under another generation is about the file of an earlier request.
    if row.generation == inspected.generations.get(key):
        if number in inspected.refused:
            return inspected.refused[number]
        if number in entries:
            return None
    return row.refused(Conflict("It was requested anew just now; complete it again."), ended=False)


async def _make_samples(
    session: AsyncSession, dataset_id: int, waiting: Sequence[tuple[Upload, Entry]], by: Identity
) -> tuple[dict[str, Completed], RecordedChange | None]:
    """The outcomes by key. No change where there is nothing to be made."""
    label_names = label_resolution.distinct(name for row, _ in waiting for name in row.labels)
    known = await labels.lock_labels(session, dataset_id, label_names)
    results = {row.key: refused for row, _ in waiting if (refused := refused_labels(row, known)) is not None}
    good = [(row, entry) for row, entry in waiting if row.key not in results]
    if not good:
        return results, None
    label_names = label_resolution.distinct(name for row, _ in good for name in row.labels)
    entries = [replace(entry, annotations=tuple(map(ParsedAnnotation, row.labels))) for row, entry in good]
    samples, change = await write_samples(
        session,
        dataset_id,
        entries,
        missing=[name for name in label_names if name not in known],
        known=known,
        by=by,
    )
    for row, entry in good:
        sample = samples.get(entry.position)
        found = None if sample is None else Completed(row.key, row.file_name, sample, ended=True)
        results[row.key] = found or row.refused(ObjectExists(), ended=True)
    return results, change
