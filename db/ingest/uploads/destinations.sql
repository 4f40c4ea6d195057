-- name: destination
SELECT input_path, image_formats AS formats, exclude FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: lock_names
-- 3 is the lock of the events of datasets, which nobody may hold while he waits.
SELECT pg_advisory_xact_lock(4, :dataset_id::bigint::int)

-- name: staged_bytes
-- Of what is requested but for these, and neither completed, imported nor cleared away.
SELECT coalesce((SELECT sum(size) FROM upload
                 WHERE dataset_id = :dataset_id AND finished_at IS NULL AND key <> ALL (:keys::text[])), 0)::bigint
     + coalesce((SELECT sum(size) FROM import_upload
                 WHERE dataset_id = :dataset_id AND (expires_at > now() OR sweep_at <= now())
                   AND key IS DISTINCT FROM :import_key::text), 0)::bigint

-- name: taken
SELECT path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[])
UNION SELECT path FROM source_deletion
      WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
UNION SELECT path FROM upload WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
