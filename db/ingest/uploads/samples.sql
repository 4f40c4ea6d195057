-- name: lock_samples
SELECT id, path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) ORDER BY id FOR NO KEY UPDATE

-- name: end_unused_sources
UPDATE source SET status = 'GONE'
WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND status <> 'GONE'
  AND NOT EXISTS (SELECT FROM sample WHERE source_id = source.id)

-- name: existing
SELECT sample.id, sample.path, source.etag, source.size FROM sample JOIN source ON source.id = sample.source_id
WHERE sample.dataset_id = :dataset_id AND sample.path = ANY(:paths::text[])
