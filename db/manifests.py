"""Manifests: a version as a file of one JSON object a line, as the reference system writes and reads them.

    <output path>/<dataset>-<id>/annotation/<version>/<version>.manifest

A job writes it after publishing. It is written of a version, which never changes, so whoever writes it again writes
the same. Times are in UTC, without a zone. Shapes, for which the reference system has files of their own, stand in
`property` in our form.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import asyncpg
import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs, statements
from db.engine import Database
from db.errors import NotFound
from db.jobs import Batch, Claim
from db.storage import ObjectExists, Store

BATCH: Final = 2_000  # samples read at once
TYPES: Final = {
    "IMAGE_CLASSIFICATION": "modelarts/image_classification",
    "OBJECT_DETECTION": "modelarts/object_detection",
    "IMAGE_SEGMENTATION": "modelarts/image_segmentation",
}
ABOUT: Final = """
SELECT v.id, v.name, v.revision, v.total, v.is_split, d.id AS dataset_id, d.name AS dataset, d.type, d.input_path,
       d.output_path
FROM version v JOIN dataset d ON d.id = v.dataset_id
WHERE v.id = $1 AND d.deleted_at IS NULL AND d.output_path IS NOT NULL
"""
SAMPLES: Final = """
WITH page AS (
    SELECT * FROM (
        SELECT id, path, state, hard, usage FROM sample WHERE dataset_id = $2 AND since <= $3 AND id > $4
        UNION ALL
        SELECT id, path, state, hard, usage FROM sample_past
        WHERE dataset_id = $2 AND since <= $3 AND until > $3 AND id > $4
    ) AS every ORDER BY id LIMIT $6
), marks AS (
    SELECT a.* FROM page JOIN annotation a ON a.sample_id = page.id WHERE a.since <= $3
    UNION ALL
    SELECT a.id, a.dataset_id, a.sample_id, a.label_id, a.labeled_by, a.labeled_at, a.origin, a.confidence,
           a.confirmed, a.shape, a.since
    FROM page JOIN annotation_past a ON a.sample_id = page.id WHERE a.since <= $3 AND a.until > $3
)
SELECT page.id, page.path, page.hard,
       CASE WHEN page.state = 'LABELED' THEN
           CASE WHEN e.sample_id IS NOT NULL THEN 'EVAL' WHEN $5 THEN 'TRAIN' ELSE coalesce(page.usage, 'TRAIN') END
       END AS usage,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                     'id', m.id, 'name', l.name, 'by', m.labeled_by, 'origin', m.origin, 'confirmed', m.confirmed,
                     'at', to_char(m.labeled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                     'confidence', m.confidence, 'shape', m.shape) ORDER BY m.label_id, m.id)
                 FROM marks m JOIN version_label l ON l.version_id = $1 AND l.label_id = m.label_id
                 WHERE m.sample_id = page.id), '[]')::text AS annotations
FROM page LEFT JOIN version_eval e ON e.version_id = $1 AND e.sample_id = page.id
ORDER BY page.id
"""
WRITTEN: Final = "UPDATE version SET manifest_path = $2 WHERE id = $1"
WANTED: Final = "SELECT true AS yes FROM dataset WHERE id = :id AND output_path IS NOT NULL"


async def request(session: AsyncSession, dataset_id: int, version_id: int, *, requested_by: str) -> None:
    """Have the manifest written, if the dataset has a place for it."""
    if await statements.first(session, WANTED, id=dataset_id):
        arguments = {"version": version_id}
        await jobs.enqueue(session, dataset_id, "MANIFEST", requested_by=requested_by, arguments=arguments)


async def run(database: Database, job: Claim, opener: Callable[[str], Store]) -> None:
    """Write the manifest of the job's version, and then tell where it is. Memory holds a batch of its lines."""
    async with database.reading() as reader:
        version = await reader.fetchrow(ABOUT, job.arguments["version"])
    if version is None:
        raise NotFound("The version was deleted.", code="VERSION_NOT_FOUND")
    path = await _keep(opener(version["output_path"]), version, lambda: _lines(database, version, job))

    async def tell(batch: Batch) -> None:
        await batch.connection.execute(WRITTEN, version["id"], f"{version['output_path'].rstrip('/')}/{path}")

    await jobs.in_batch(database, job, tell)


async def _keep(store: Store, version: asyncpg.Record, lines: Callable[[], AsyncIterator[bytes]]) -> str:
    """Where it lies. A file of the same name is the same, or of a version that was deleted: that one stays."""
    name = version["name"]
    folder = f"{version['dataset']}-{version['dataset_id']}/annotation/{name}"
    for path in (f"{folder}/{name}.manifest", f"{folder}/{name}-{version['id']}.manifest"):
        try:
            await store.write_stream(path, lines())
        except ObjectExists:
            if await _digest(store.stream(path)) != await _digest(lines()):
                continue
        return path
    raise ObjectExists


async def _digest(pieces: AsyncIterator[bytes]) -> bytes:
    digest = blake2b(digest_size=32)
    async for piece in pieces:
        digest.update(piece)
    return digest.digest()


async def _lines(database: Database, version: asyncpg.Record, job: Claim) -> AsyncIterator[bytes]:
    """The file, a batch of its lines at a time."""
    last, count = 0, 0
    while True:
        async with database.reading() as reader:
            rows = await reader.fetch(
                SAMPLES, version["id"], version["dataset_id"], version["revision"], last, version["is_split"], BATCH
            )
        yield b"".join(line(version["input_path"], TYPES[version["type"]], dict(row)) for row in rows)
        if len(rows) < BATCH:
            return
        last, count = rows[-1]["id"], count + len(rows)
        job.report(progress=min(0.99, count / max(version["total"], 1)))


def line(input_path: str, kind: str, sample: Mapping[str, Any]) -> bytes:
    """One sample, `annotations` as JSON text."""
    entry: dict[str, Any] = {"id": str(sample["id"]), "source": f"{input_path.rstrip('/')}/{sample['path']}"}
    if sample["usage"] is not None:
        entry["usage"] = sample["usage"]
    entry["sample-type"] = 0
    if sample["hard"]:
        entry["hard"] = "true"
    entry["annotation"] = [_annotation(kind, each) for each in orjson.loads(sample["annotations"])]
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _annotation(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A suggestion that nobody confirmed says so by its confidence; a person's label has none."""
    who = "model" if given["origin"] == "MODEL" else "human"
    found: dict[str, Any] = {
        "id": str(given["id"]),
        "type": kind,
        "name": given["name"],
        "property": {} if given["shape"] is None else {"shape": given["shape"]},
        "annotated-by": f"{who}/{given['by']}/{given['by']}",
        "creation-time": given["at"],
    }
    if given["confidence"] is not None or not given["confirmed"]:
        found["confidence"] = given["confidence"] or 0
    return found
