-- name: destination
SELECT input_path, image_formats AS formats, exclude FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: lock_names
-- 3 is the lock of the events of datasets, which nobody may hold while he waits.
SELECT pg_advisory_xact_lock(4, :dataset_id::bigint::int)

-- name: taken
SELECT path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[])
UNION SELECT path FROM source_deletion
      WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
UNION SELECT path FROM upload WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
