"""The rows of objects that lie in storage: sources, samples and their labels, a few statements for all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from db.formats.images import ImageFacts
from db.history.changes import RecordedChange
from db.identity.tokens import Identity
from db.labelling import annotations
from db.labelling.samples.selection import LockedSamples
from db.postgres import sql
from db.storage import StoredObject

HOLD = """
    SELECT id FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) ORDER BY id FOR NO KEY UPDATE
"""
LET_GO = """
    UPDATE source SET status = 'GONE'
    WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND status <> 'GONE'
      AND NOT EXISTS (SELECT FROM sample WHERE source_id = source.id)
"""
SOURCES = """
    INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation, pixel_hash,
                        changed_at)
    SELECT :dataset_id, path, etag, size, modified_at, format, width, height, orientation, pixel_hash, changed_at
    FROM unnest(:paths::text[], :etags::text[], :sizes::bigint[], :times::timestamptz[], :formats::text[],
                :widths::int[], :heights::int[], :turns::smallint[], :pixels::text[], :changed::timestamptz[])
        WITH ORDINALITY AS given (path, etag, size, modified_at, format, width, height, orientation, pixel_hash,
                                  changed_at, place)
    WHERE NOT EXISTS (SELECT FROM sample WHERE sample.dataset_id = :dataset_id AND sample.path = given.path)
    ORDER BY place
    ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
    RETURNING id
"""
SAMPLES = """
    INSERT INTO sample (dataset_id, source_id, path, created_at, since, state, label_ids, labeled_by, labeled_at,
                        labeled_origin)
    SELECT source.dataset_id, source.id, source.path, source.modified_at, :since,
           CASE WHEN labeled THEN 'LABELED' ELSE 'UNLABELED' END, given.label_ids,
           CASE WHEN labeled THEN :actor::text END, CASE WHEN labeled THEN now() END,
           CASE WHEN labeled THEN 'UPLOAD' END
    FROM (SELECT path, label_ids::bigint[] AS label_ids, label_ids <> '{}' AS labeled, place
          FROM unnest(:paths::text[], :labels::text[]) WITH ORDINALITY AS one (path, label_ids, place)) given
    JOIN source ON source.path = given.path AND source.id = ANY(:sources::bigint[])
    ORDER BY given.place
    ON CONFLICT DO NOTHING
    RETURNING id, path
"""
ANNOTATIONS = """
    INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since)
    SELECT dataset_id, id, label_id, labeled_by, labeled_at, labeled_origin, since
    FROM sample CROSS JOIN unnest(label_ids) AS label_id WHERE id = ANY(:samples::bigint[])
    ORDER BY id, label_id
"""
OTHERS = """
    SELECT sample.id, sample.path, source.etag, source.size FROM sample JOIN source ON source.id = sample.source_id
    WHERE sample.dataset_id = :dataset_id AND sample.path = ANY(:paths::text[])
"""


@dataclass(frozen=True, slots=True)
class Put:
    """A file whose object is in storage."""

    place: int  # in the request
    object: StoredObject
    facts: ImageFacts


Labels = Mapping[int, Sequence[int]]  # ids by place, in their order


async def hold(session: AsyncSession, dataset_id: int, puts: Sequence[Put]) -> None:
    """Lock the samples that a sync has made of our objects: before the change is recorded, as all writers do."""
    await sql.run(session, HOLD, dataset_id=dataset_id, paths=[put.object.path for put in puts])


async def keep(
    session: AsyncSession, dataset_id: int, puts: Sequence[Put], labels: Labels, change: RecordedChange, by: Identity
) -> dict[int, int]:
    """The samples of what was written, by place; none for an object whose path somebody else's sample has by now."""
    if not puts:
        return {}
    made = await _make(session, dataset_id, puts, labels, change, by)
    found = await _found(session, dataset_id, [put for put in puts if put.place not in made])
    await _label(session, dataset_id, found, labels, change, by)
    return made | found


async def _make(
    session: AsyncSession, dataset_id: int, puts: Sequence[Put], labels: Labels, change: RecordedChange, by: Identity
) -> dict[int, int]:
    paths = [put.object.path for put in puts]
    await sql.run(session, LET_GO, dataset_id=dataset_id, paths=paths)
    sources = await sql.run(session, SOURCES, dataset_id=dataset_id, paths=paths, **_columns(puts))
    rows = await sql.run(
        session,
        SAMPLES,
        sources=[row["id"] for row in sources],
        paths=paths,
        labels=["{" + ",".join(map(str, labels.get(put.place, ()))) + "}" for put in puts],
        actor=by.name,
        since=change.revision,
    )
    if any(labels.values()):
        await sql.run(session, ANNOTATIONS, samples=[row["id"] for row in rows])
    ids = {row["path"]: row["id"] for row in rows}
    return {put.place: ids[put.object.path] for put in puts if put.object.path in ids}


def _columns(puts: Sequence[Put]) -> dict[str, list[Any]]:
    return {
        "etags": [put.object.stamp for put in puts],
        "sizes": [put.object.size for put in puts],
        "times": [put.object.modified_at for put in puts],
        "formats": [put.facts.format for put in puts],
        "widths": [put.facts.width for put in puts],
        "heights": [put.facts.height for put in puts],
        "turns": [put.facts.orientation for put in puts],
        "pixels": [put.object.pixels for put in puts],
        "changed": [put.object.changed_at for put in puts],
    }


async def _found(session: AsyncSession, dataset_id: int, puts: Sequence[Put]) -> dict[int, int]:
    """A sync was faster: it met our objects in storage and has made their samples."""
    if not puts:
        return {}
    rows = await sql.run(session, OTHERS, dataset_id=dataset_id, paths=[put.object.path for put in puts])
    known = {(row["path"], row["etag"], row["size"]): row["id"] for row in rows}
    keys = {put.place: (put.object.path, put.object.stamp, put.object.size) for put in puts}
    return {place: known[key] for place, key in keys.items() if key in known}


async def _label(
    session: AsyncSession,
    dataset_id: int,
    found: Mapping[int, int],
    labels: Labels,
    change: RecordedChange,
    by: Identity,
) -> None:
    """Set by set of labels; a script's files have few different ones."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, sample in found.items():
        groups[tuple(labels.get(place, ()))].append(sample)
    for label_ids, samples in groups.items():
        if label_ids:
            selected = LockedSamples(dataset_id, len(samples), tuple(sorted(samples)))
            await annotations.add_labels(session, selected, list(label_ids), change, actor=by.name)
            await annotations.refresh_derived_state(session, selected, change, actor=by.name)
