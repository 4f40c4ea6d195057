-- name: assign_paths
-- $2: characters of the folder that all images outside the input path share.
UPDATE import_line SET path = regexp_replace(substr(origin, $2 + 1), '^(s3://|/)', '')
WHERE job_id = $1 AND path IS NULL

-- name: drop_doubles
WITH ranked AS (
    SELECT position, path, min(position) OVER (PARTITION BY path) AS first FROM import_line WHERE job_id = $1
), gone AS (
    DELETE FROM import_line l USING ranked r
    WHERE l.job_id = $1 AND l.position = r.position AND r.first < r.position
    RETURNING r.position, r.path, r.first
)
SELECT position, path, first, count(*) OVER () AS dropped FROM gone ORDER BY position LIMIT 10000

-- name: items
SELECT position, path, origin, entry FROM import_line
WHERE job_id = $1 AND position > $2 ORDER BY position LIMIT $3

-- name: others
-- Lines that have a path, deletions of its file that are under way, uploads that it is kept free for; and its sample.
SELECT false AS is_sample FROM import_line WHERE job_id = $1 AND path = $3
UNION ALL SELECT false FROM source_deletion WHERE dataset_id = $2 AND path = $3 AND finished_at IS NULL
UNION ALL SELECT false FROM upload WHERE dataset_id = $2 AND path = $3 AND finished_at IS NULL
UNION ALL SELECT true FROM sample WHERE dataset_id = $2 AND path = $3

-- name: leaving
SELECT path FROM source_deletion WHERE dataset_id = $1 AND path = ANY($2::text[]) AND finished_at IS NULL

-- name: facts
-- Samples that are there, with the size of their images.
SELECT sample.path, source.width, source.height, source.orientation FROM sample JOIN source ON source.id = sample.source_id
WHERE sample.dataset_id = $1 AND sample.path = ANY($2::text[])

-- name: lock_samples
SELECT id FROM sample WHERE dataset_id = $1 AND path = ANY($2::text[]) ORDER BY id FOR NO KEY UPDATE

-- name: known
SELECT given.path, sample.id AS sample_id, sample.labeled_origin, sample.labeled_by, sample.labeled_at, sample.hard,
       sample.usage, here.id AS source_id, here.status, here.etag, here.size
FROM unnest($2::text[]) AS given (path)
LEFT JOIN sample ON sample.dataset_id = $1 AND sample.path = given.path
LEFT JOIN source here ON here.dataset_id = $1 AND here.path = given.path AND here.status <> 'GONE'

-- name: annotations
SELECT a.id, a.sample_id, label.name, a.labeled_by, a.labeled_at, a.confidence, a.confirmed, a.shape::text AS shape,
       a.attributes::text AS attributes
FROM annotation a JOIN label ON label.id = a.label_id
WHERE a.sample_id = ANY($1::bigint[]) ORDER BY a.id

-- name: labels
SELECT id, name FROM label WHERE dataset_id = $1 AND name = ANY($2::text[]) ORDER BY id FOR KEY SHARE

-- name: make_labels
-- Safe without ON CONFLICT: whoever makes labels holds the dataset's row, as we do here.
INSERT INTO label (dataset_id, name, color, shortcut, since)
SELECT $1, new.name, new.color,
       CASE WHEN NOT EXISTS (SELECT FROM label WHERE dataset_id = $1 AND shortcut = new.shortcut) THEN new.shortcut END, $2
FROM unnest($3::text[], $4::text[], $5::text[]) AS new (name, color, shortcut)
WHERE NOT EXISTS (SELECT FROM label WHERE dataset_id = $1 AND label.name = new.name)
ORDER BY new.name

-- name: let_go
UPDATE source SET status = 'GONE' WHERE id = ANY($1::bigint[]) AND status <> 'GONE'

-- name: make_sources
INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation, damaged,
                    content_hash, pixel_hash, changed_at)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::int[], $8::int[],
                         $9::smallint[], $10::boolean[], $11::text[], $12::text[], $13::timestamptz[])
ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
RETURNING id, path

-- name: make_samples
INSERT INTO sample (dataset_id, source_id, path, created_at, state, label_ids, labeled_by, labeled_at, labeled_origin,
                    hard, usage, since)
SELECT $1, source.id, source.path, source.modified_at, new.state, new.label_ids::bigint[], new.labeled_by,
       CASE WHEN new.state = 'LABELED' THEN coalesce(new.labeled_at, now()) END,
       CASE WHEN new.state = 'LABELED' THEN 'IMPORT' END, new.hard, new.usage, $2
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::boolean[], $9::text[])
     WITH ORDINALITY AS new (source_id, state, label_ids, labeled_by, labeled_at, hard, usage, n)
JOIN source ON source.id = new.source_id
ORDER BY new.n
ON CONFLICT DO NOTHING
RETURNING id, path

-- name: annotate
INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, confidence, confirmed, shape,
                        attributes, since)
SELECT $1, new.sample_id, new.label_id, new.labeled_by, coalesce(new.labeled_at, now()), 'IMPORT', new.confidence,
       new.confirmed, new.shape::jsonb, new.attributes::jsonb, $2
FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::timestamptz[], $7::float8[], $8::boolean[], $9::text[],
            $10::text[])
     WITH ORDINALITY AS new (sample_id, label_id, labeled_by, labeled_at, confidence, confirmed, shape, attributes, n)
ORDER BY new.n

-- name: unannotate
DELETE FROM annotation WHERE id = ANY($1::bigint[])

-- name: update
-- `relabeled`: the columns that follow from annotations are written too.
UPDATE sample SET
    hard = coalesce(new.hard, sample.hard), usage = coalesce(new.usage, sample.usage), since = $1,
    state = CASE WHEN new.relabeled THEN new.state ELSE sample.state END,
    label_ids = CASE WHEN new.relabeled THEN new.label_ids::bigint[] ELSE sample.label_ids END,
    labeled_by = CASE WHEN new.relabeled THEN new.labeled_by ELSE sample.labeled_by END,
    labeled_at = CASE WHEN NOT new.relabeled THEN sample.labeled_at
                      WHEN new.state = 'LABELED' THEN coalesce(new.labeled_at, now()) END,
    labeled_origin = CASE WHEN new.relabeled THEN 'IMPORT' ELSE sample.labeled_origin END
FROM unnest($2::bigint[], $3::boolean[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[]) AS new (id, hard, usage, relabeled, state, label_ids, labeled_by, labeled_at)
WHERE sample.id = new.id
