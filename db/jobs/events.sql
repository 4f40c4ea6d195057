-- The states of what is subscribed to: `step` grows with every change; `final` is true of the last one.

-- name: jobs
SELECT id, step, status IN ('SUCCEEDED', 'FAILED', 'CANCELED') AS final FROM job WHERE id = ANY(:ids::bigint[])

-- name: datasets
SELECT id, revision AS step, deleted_at IS NOT NULL AS final FROM dataset WHERE id = ANY(:ids::bigint[])
