"""A dataset of any size, made by Postgres itself: set-based, the same on every run.

Times are spread over a year, labels unevenly: label k is on about 1 / (k + 1) of the samples, so that a filter can be
as common or as rare as a measurement needs. The last label is on ten samples only.
"""

from dataclasses import dataclass

import asyncpg

from db.postgres import engine


@dataclass(frozen=True, slots=True)
class Made:
    dataset_id: int
    label_ids: tuple[int, ...]


async def make(url: str, *, samples: int = 1_000_000, labels: int = 50, name: str = "bench") -> Made:
    """Fill a migrated database with one dataset. What can be added to whole tables is added at the end: that takes a
    fraction of the time, and at ten million samples it is the difference between minutes and hours."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        async with connection.transaction():
            added = await connection.fetch(ADDED_LAST)
            for each in added:
                await connection.execute(each["drop"])
            made = await fill(connection, samples, labels, name)
            await connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
            for each in reversed(added):
                await connection.execute(each["add"])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return made


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", samples: int, labels: int, name: str) -> Made:
    """In a transaction that has begun, or each statement in one of its own."""
    dataset_id = await connection.fetchval(DATASET, name)
    await connection.execute(CHANGE, dataset_id)
    found = await connection.fetch(LABELS, dataset_id, labels)
    await connection.execute(SOURCES, dataset_id, samples)
    await connection.execute(SAMPLES, dataset_id, labels, found[0]["id"], samples)
    await connection.execute(ANNOTATIONS, dataset_id)
    return Made(dataset_id=dataset_id, label_ids=tuple(row["id"] for row in found))


# Foreign keys, and indexes that are no constraints, of the tables with a row for each sample.
ADDED_LAST = """
    WITH filled(name) AS (VALUES ('source'::regclass), ('sample'), ('annotation'))
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS add
    FROM pg_constraint WHERE conrelid IN (SELECT name FROM filled) AND contype = 'f'
    UNION ALL
    SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid IN (SELECT name FROM filled)
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""

DATASET = """
    INSERT INTO dataset (name, type, input_path, created_by, revision)
    VALUES ($1, 'IMAGE_CLASSIFICATION', '/bench', 'bench', 1) RETURNING id
"""

CHANGE = """
    INSERT INTO change (dataset_id, revision, kind, actor, summary, undoable)
    VALUES ($1, 1, 'SYNC', 'sync', 'bench', false)
"""

LABELS = """
    INSERT INTO label (dataset_id, name, color, since)
    SELECT $1, 'label_' || n, '#' || lpad(to_hex(n * 5000), 6, '0'), 1 FROM generate_series(1, $2::int) n ORDER BY n
    RETURNING id
"""

SOURCES = """
    INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height)
    SELECT $1, format('part_%s/image_%s.jpg', n % 1000, n), md5(n::text), 20000 + n % 90000,
           timestamptz '2026-01-01 00:00Z' + interval '365 days' * (hashint4(n) / 4294967296.0 + 0.5), 'JPEG', 640, 480
    FROM generate_series(1, $2::int) n
"""

SAMPLES = """
    INSERT INTO sample (dataset_id, source_id, path, created_at, state, label_ids, labeled_by, labeled_at,
                        labeled_origin, hard, since)
    SELECT $1, s.id, s.path, s.modified_at, CASE WHEN l.ids = '{}' THEN 'UNLABELED' ELSE 'LABELED' END, l.ids,
           CASE WHEN l.ids <> '{}' THEN 'user_' || s.id % 7 END, CASE WHEN l.ids <> '{}' THEN s.modified_at END,
           CASE WHEN l.ids <> '{}' THEN 'MANUAL' END, s.id % 100 = 0, 1
    FROM source s, LATERAL (
        SELECT array_agg(DISTINCT id ORDER BY id) AS some
        FROM (SELECT $3::bigint - 1
                     + floor(power($2::float8 - 1, (hashint8(s.id * 31 + k) & 2147483647) / 2147483648.0))::bigint AS id
              FROM generate_series(1, (s.id % 4)::int) k
              UNION ALL SELECT $3 + $2 - 1 WHERE s.id % ($4::int / 10) = 0) x
    ) a, LATERAL (SELECT coalesce(a.some, '{}') AS ids) l
    WHERE s.dataset_id = $1
"""

ANNOTATIONS = """
    INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since)
    SELECT dataset_id, id, label_id, labeled_by, labeled_at, 'MANUAL', 1
    FROM sample, unnest(label_ids) label_id WHERE dataset_id = $1
"""

MODELS = """
    INSERT INTO model (dataset_id, name, version) SELECT $1, 'net', version FROM unnest(ARRAY['1', '2', '3']) version
    ORDER BY version RETURNING id
"""

# Each of a model on one of so many samples, from the id `$5` on, with a label and a confidence that hashes draw.
SUGGESTIONS = """
    INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, confidence, model_id, since)
    SELECT $1, id, $3 + (hashint8(id * 7 + $2) & 2147483647) % $4, 'net', 'MODEL', false,
           (hashint8(id * 11 + $2) & 2147483647) / 2147483647.0, $2, 1
    FROM sample WHERE dataset_id = $1 AND id % $6 = 0 AND id >= $5
"""

SURENESS = """
    UPDATE sample SET state = derived.state, suggestion_confidence = derived.suggestion_confidence,
        suggestion_margin = derived.suggestion_margin, suggestion_entropy = derived.suggestion_entropy,
        suggestion_disagreement = derived.suggestion_disagreement, suggestion_conflict = derived.suggestion_conflict,
        suggestion_lowest = derived.suggestion_lowest
    FROM annotation a, LATERAL derived_state(a.sample_id) derived
    WHERE sample.id = a.sample_id AND a.dataset_id = $1 AND NOT a.confirmed
"""


async def suggest(url: str, made: Made) -> None:
    """Suggestions in a dataset that was made: of version 1 of a model on every other sample, of version 2 on a tenth,
    of version 3 on a few. The last label but one is suggested by version 3 only."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        async with connection.transaction():
            models = [row["id"] for row in await connection.fetch(MODELS, made.dataset_id)]
            total = await connection.fetchval("SELECT total FROM dataset WHERE id = $1", made.dataset_id)
            first = await connection.fetchval("SELECT min(id) FROM sample WHERE dataset_id = $1", made.dataset_id)
            labels = len(made.label_ids) - 2
            for model, each in zip(models, (2, 10, max(total // 20, 1)), strict=True):
                values = (made.dataset_id, model, made.label_ids[0], labels, first, each)
                await connection.execute(SUGGESTIONS, *values)
            await connection.execute(
                "UPDATE annotation SET label_id = $2 WHERE model_id = $1", models[2], made.label_ids[-2]
            )
            await connection.execute(SURENESS, made.dataset_id)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
