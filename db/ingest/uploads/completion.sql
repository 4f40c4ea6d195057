-- name: finish
UPDATE upload SET path = done.path, sample_id = done.sample, error_code = done.code, error = done.message,
                  finished_at = clock_timestamp()
FROM unnest(:ids::bigint[], :paths::text[], :samples::bigint[], :codes::text[], :messages::text[])
     AS done (id, path, sample, code, message)
WHERE upload.id = done.id
