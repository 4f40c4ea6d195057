"""Deleting objects that rows have let go of. The intent was committed with the rows; here it is carried out, again and
again until it succeeds: right after the commit by whoever asked, later by a worker."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import asyncpg

from db.errors import DomainError
from db.formats.sidecars.pairing import sidecar_stems
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import ObjectChanged, Store

OpenStore = Callable[[str], Store]

BATCH: Final = 200  # with the places where their sidecars may lie a few requests of S3, each of a thousand
SIDECARS: Final = (".txt", ".TXT", ".xml", ".XML")  # a sync takes them in any case; these are in use

RESISTS: Final = "The image is deleted, its label file is not yet: it is tried again."

# Taking an intent puts its next try off, so that two who carry out at once share the work, and a crash is made up for.
TAKE = """
UPDATE source_deletion d
SET attempts = attempts + 1, retry_at = now() + least(interval '10 min', interval '30 s' * power(2, least(attempts, 5)))
FROM dataset
WHERE dataset.id = d.dataset_id AND d.id IN (
    SELECT id FROM source_deletion
    WHERE finished_at IS NULL AND id > $1
      AND CASE WHEN $2::bigint IS NOT NULL THEN change_id = $2
               WHEN $4::bigint IS NOT NULL THEN dataset_id = $4
               ELSE retry_at <= now() AND created_at < now() - interval '5 s' END
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING d.id, d.source_id, d.dataset_id, d.path, d.etag, dataset.input_path,
          (SELECT status = 'GONE' FROM source WHERE id = d.source_id) AS gone
"""

GONE = "UPDATE source SET status = 'GONE' WHERE id = ANY($1::bigint[]) AND status <> 'GONE'"

# Stems that no image has any more. `/` follows `.` in code points, so a stem's files are one range of the index.
LONELY = """
SELECT stem FROM unnest($2::text[]) stem
WHERE NOT EXISTS (SELECT FROM source WHERE dataset_id = $1 AND status <> 'GONE'
                  AND path >= stem || '.' AND path < stem || '/' AND strpos(substr(path, length(stem) + 2), '.') = 0)
"""

FINISH = """
UPDATE source_deletion d SET error = told.error, finished_at = CASE WHEN told.final THEN clock_timestamp() END
FROM unnest($1::bigint[], $2::text[], $3::boolean[]) AS told (id, error, final)
WHERE d.id = told.id
"""


TOLD = """
SELECT count(*) FILTER (WHERE error IS NULL AND (finished_at IS NOT NULL OR EXISTS (
           SELECT FROM source WHERE id = source_id AND status = 'GONE'))) AS deleted,
       (SELECT coalesce(array_agg((path, error)), '{}')
        FROM (SELECT path, error FROM source_deletion WHERE change_id = $1 AND error IS NOT NULL ORDER BY id LIMIT $2) f
       ) AS failures
FROM source_deletion WHERE change_id = $1
"""
MOST_TOLD: Final = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """An object that is still there, and why."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """How many objects are gone, and which are not yet, or were replaced and left alone."""

    deleted: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _Result:
    intent: asyncpg.Record
    error: str | None
    final: bool


async def delete_objects(
    database: Database, opener: OpenStore, *, change_id: int | None = None, dataset_id: int | None = None
) -> DeletionResult:
    """Delete what is to be deleted: of one change, of one dataset, or all whose time has come."""
    deleted, failures, last = 0, list[Failure](), 0
    while intents := await _take(database, last, change_id, dataset_id):
        last = max(intent["id"] for intent in intents)
        results = await _settle(database, opener, await _delete(opener, intents))
        deleted += sum(result.error is None for result in results)
        failures += [Failure(result.intent["path"], result.error) for result in results if result.error is not None]
    return DeletionResult(deleted, tuple(failures))


async def told(database: Database, change_id: int) -> DeletionResult:
    """What has become of a change's intents so far, whoever carried them out; its first failures."""
    async with database.reading() as reader:
        row = await reader.fetchrow(TOLD, change_id, MOST_TOLD)
    assert row is not None
    return DeletionResult(row["deleted"], tuple(Failure(*failure) for failure in row["failures"]))


async def _take(database: Database, last: int, change_id: int | None, dataset_id: int | None) -> list[asyncpg.Record]:
    async with database.writing() as session:
        connection = await connection_of(session)
        return await connection.fetch(TAKE, last, change_id, BATCH, dataset_id)


async def _delete(opener: OpenStore, intents: Sequence[asyncpg.Record]) -> list[_Result]:
    """Input path by input path, of each as many at once as its store takes. An image that is gone is not deleted again,
    for want of its sidecar: what lies in its place by now is somebody's, and may be its equal."""
    results = [_Result(intent, None, final=True) for intent in intents if intent["gone"]]
    there = sorted((intent for intent in intents if not intent["gone"]), key=_input_path)
    for input_path, group in groupby(there, _input_path):
        below = list(group)
        told = await _delete_below(opener, input_path, [(one["path"], one["etag"]) for one in below])
        results += [_result(intent, outcome) for intent, outcome in zip(below, told, strict=True)]
    return results


def _input_path(intent: asyncpg.Record) -> str:
    return str(intent["input_path"])


async def _delete_below(
    opener: OpenStore, input_path: str, objects: Sequence[tuple[str, str | None]]
) -> Sequence[bool | DomainError]:
    try:
        return await opener(input_path).delete_many(objects)
    except DomainError as failed:
        return [failed] * len(objects)


def _result(intent: asyncpg.Record, outcome: bool | DomainError) -> _Result:
    """Gone already is as good as deleted; replaced by another is final, the rest is tried again."""
    if isinstance(outcome, DomainError):
        return _Result(intent, outcome.message, final=isinstance(outcome, ObjectChanged))
    return _Result(intent, None, final=True)


async def _settle(database: Database, opener: OpenStore, results: Sequence[_Result]) -> Sequence[_Result]:
    """First the sources, then the sidecars that no image needs any more, and only then are the intents done."""
    done = [result.intent for result in results if result.error is None]
    resisting: set[tuple[int, str]] = set()
    async with database.writing() as session:
        await (await connection_of(session)).execute(GONE, sorted(intent["source_id"] for intent in done))
    for dataset_id, input_path in sorted({(intent["dataset_id"], intent["input_path"]) for intent in done}):
        images = sorted({intent["path"] for intent in done if intent["dataset_id"] == dataset_id})
        unused = await _unused_sidecars(database, dataset_id, images)
        resisting |= {(dataset_id, image) for image in await _delete_sidecars(opener, input_path, unused)}
    results = [_with_sidecar(result, resisting) for result in results]
    async with database.writing() as session:
        columns = zip(*((result.intent["id"], result.error, result.final) for result in results), strict=True)
        await (await connection_of(session)).execute(FINISH, *map(list, columns))
    return results


async def _unused_sidecars(database: Database, dataset_id: int, images: Sequence[str]) -> dict[str, str]:
    """Where sidecars of these images may lie that no other image has use for, without suffixes, each with its image."""
    places = {place: (image, served) for image in images for place, served in sidecar_stems(image).items()}
    stems = sorted({stem for _, served in places.values() for stem in served})
    async with database.reading() as reader:
        lonely = {row["stem"] for row in await reader.fetch(LONELY, dataset_id, stems)}
    return {place: image for place, (image, served) in places.items() if lonely.issuperset(served)}


async def _delete_sidecars(opener: OpenStore, input_path: str, places: Mapping[str, str]) -> set[str]:
    """A label file left behind would label whatever takes the image's place. The images of those that resist.

    Not looked for first: that would cost several requests for each image.
    """
    named = {place + suffix: image for place, image in places.items() for suffix in SIDECARS}
    try:
        left = await opener(input_path).discard(list(named))
    except DomainError:
        left = list(named)
    return {named[path] for path in left}


def _with_sidecar(result: _Result, resisting: Collection[tuple[int, str]]) -> _Result:
    """An image is done with when its sidecar is: until then both are tried again."""
    named = (result.intent["dataset_id"], result.intent["path"])
    return replace(result, error=RESISTS, final=False) if result.error is None and named in resisting else result
