"""completeUploads, its second half: the samples of what was written, in one change. A sample that a sync has made of
our object meanwhile is ours; what another call has completed is told as it is."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, NotFound
from db.history.changes import RecordedChange, lock_dataset, record
from db.identity.tokens import Identity
from db.ingest.uploads import outcomes
from db.ingest.uploads.direct import summary
from db.ingest.uploads.outcomes import Arrived, Completed, Completion, Upload
from db.ingest.uploads.rows import Put, hold, keep
from db.ingest.uploads.staging import labelless, refusal
from db.ingest.uploads.upload_requests import STAGING
from db.labelling import label_resolution, labels
from db.postgres import sql
from db.storage import ObjectExists, Stores

PATIENCE: Final = 5.0  # seconds for which a client waits for what concerns us alone

FINISH = """
    UPDATE upload SET path = told.path, sample_id = told.sample, error_code = told.code, error = told.message,
                      finished_at = clock_timestamp()
    FROM unnest(:ids::bigint[], :paths::text[], :samples::bigint[], :codes::text[], :messages::text[])
         AS told (id, path, sample, code, message)
    WHERE upload.id = told.id
"""


async def complete(session: AsyncSession, dataset_id: int, arrived: Arrived, *, by: Identity) -> Completion:
    await lock_dataset(session, dataset_id, by)
    rows = await outcomes.rows(session, dataset_id, arrived.keys)
    puts = {put.place: put for put in arrived.puts}
    results: dict[int, Completed | None] = {}
    for number, key in enumerate(arrived.keys):
        row = rows.get(key)
        if row is not None and row.is_open and row.generation != arrived.generations.get(key):
            results[number] = _anew(row)  # what was found out is about the file of an earlier request
        else:
            results[number] = _standing(key, row, arrived.refused.get(number), puts.get(number))
    waiting = {number: rows[key] for number, key in enumerate(arrived.keys) if results[number] is None}
    made, change = await _made(session, dataset_id, [(row, puts[number]) for number, row in waiting.items()], by)
    told = [results[number] or made[key] for number, key in enumerate(arrived.keys)]
    paths = {arrived.keys[number]: put.object.path for number, put in puts.items()}
    ended = [(rows[one.key], one) for one in told if one.ended and rows[one.key].is_open]
    await _finish(session, ended, paths)
    staged = tuple(STAGING + row.staged for row, _ in ended)
    return Completion(dataset_id, arrived.input_path, tuple(told), staged, change.id if change else None)


async def discard(stores: Stores, completion: Completion) -> None:
    """Clear away what was staged. What resists is left to the sweep."""
    if completion.staged:
        with suppress(DomainError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await stores.open(completion.input_path).discard(completion.staged)


def _standing(key: str, row: Upload | None, refused: Completed | None, put: Put | None) -> Completed | None:
    """What can be told of a key without making a sample."""
    if row is None:
        missing = NotFound("No upload was requested under this key, or it was forgotten since: request it.")
        return Completed(key, code=missing.code, message=missing.message)
    if not row.is_open:
        return _ended(row)
    if refused is not None:
        return refused
    return _anew(row) if put is None else None


def _anew(row: Upload) -> Completed:
    return refusal(row, Conflict("It was requested anew just now; complete it again."), ended=False)


def _ended(row: Upload) -> Completed:
    if row.error_code is not None:
        return Completed(row.key, row.file_name, code=row.error_code, message=row.error or "", ended=True)
    if row.sample is None:
        gone = NotFound("Its sample was deleted since; request it anew to upload it again.", code="SAMPLE_NOT_FOUND")
        return refusal(row, gone, ended=True)
    return Completed(row.key, row.file_name, row.sample, ended=True)


async def _made(
    session: AsyncSession, dataset_id: int, waiting: Sequence[tuple[Upload, Put]], by: Identity
) -> tuple[dict[str, Completed], RecordedChange | None]:
    """By key. No change where there is nothing to be made."""
    wanted = label_resolution.distinct(name for row, _ in waiting for name in row.labels)
    known = await labels.in_use(session, dataset_id, wanted)
    results = {row.key: refused for row, _ in waiting if (refused := labelless(row, known)) is not None}
    good = [(row, put) for row, put in waiting if row.key not in results]
    if not good:
        return results, None
    await hold(session, dataset_id, [put for _, put in good])
    change = await record(session, dataset_id, by.name, "UPLOAD_SAMPLES", summary(len(good)))
    absent = [
        name for name in label_resolution.distinct(name for row, _ in good for name in row.labels) if name not in known
    ]
    known |= await label_resolution.make(session, dataset_id, absent, change)
    label_ids = {put.place: sorted(known[name] for name in row.labels) for row, put in good}
    samples = await keep(session, dataset_id, [put for _, put in good], label_ids, change, by)
    return results | {row.key: _result(row, samples.get(put.place)) for row, put in good}, change


def _result(row: Upload, sample: int | None) -> Completed:
    if sample is None:
        return refusal(row, ObjectExists(), ended=True)
    return Completed(row.key, row.file_name, sample, ended=True)


async def _finish(session: AsyncSession, ended: Sequence[tuple[Upload, Completed]], paths: Mapping[str, str]) -> None:
    if ended:
        await sql.run(
            session,
            FINISH,
            ids=[row.id for row, _ in ended],
            paths=[paths.get(row.key, row.path) for row, _ in ended],
            samples=[one.sample for _, one in ended],
            codes=[one.code for _, one in ended],
            messages=[one.message or None for _, one in ended],
        )
