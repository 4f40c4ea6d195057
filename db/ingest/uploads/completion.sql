-- name: finish
-- Our URLs have ended now, those of a bucket later: until then what was refused counts.
UPDATE upload SET path = done.path, sample_id = done.sample, error_code = done.code, error = done.message,
                  finished_at = clock_timestamp(),
                  expires_at = CASE WHEN input_path LIKE 's3://%' THEN expires_at ELSE now() END
FROM dataset, unnest(:ids::bigint[], :paths::text[], :samples::bigint[], :codes::text[], :messages::text[])
     AS done (id, path, sample, code, message)
WHERE upload.id = done.id AND dataset.id = upload.dataset_id

-- name: extend
UPDATE upload SET sweep_at = greatest(sweep_at, now() + :grace::interval)
WHERE id = ANY(:ids::bigint[]) AND finished_at IS NULL

-- name: current_path
SELECT path FROM upload WHERE id = :id AND generation = :generation AND finished_at IS NULL

-- name: move
UPDATE upload SET path = :path WHERE id = :id AND finished_at IS NULL
