-- name: destination
SELECT input_path, image_formats AS formats, exclude FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: lock_names
-- 3 is the lock of the events of datasets, which nobody may hold while he waits.
SELECT pg_advisory_xact_lock(4, :dataset_id::bigint::int)

-- name: staged_bytes
-- Of what is requested, and neither completed, imported nor cleared away: of this token, and of all. The key of a file for
-- an import begins with the number of its token. What was canceled or refused counts while a bucket's URL may still
-- bring it (`cancel.sql`, `completion.sql`).
SELECT coalesce(sum(size), 0)::bigint AS of_all,
       coalesce(sum(size) FILTER (WHERE token = (:token_id::bigint)::text), 0)::bigint AS of_token
FROM (
    SELECT size, token_id::text FROM upload
    WHERE dataset_id = :dataset_id AND (finished_at IS NULL OR (error_code IS NOT NULL AND expires_at > now()))
    UNION ALL
    SELECT size, split_part(key, ':', 1) FROM import_upload
    WHERE dataset_id = :dataset_id AND (expires_at > now() OR sweep_at <= now()
                                         OR (urls_until > now() AND split_part(key, ':', 2) LIKE E'\x01%'))
) AS staged (size, token)

-- name: taken
SELECT path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[])
UNION SELECT path FROM source_deletion
      WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
UNION SELECT path FROM upload WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
