-- The states of what is subscribed to: `step` grows with every change; `final` is true of the last one.

-- name: jobs
SELECT id, step, status IN ('SUCCEEDED', 'FAILED', 'CANCELED') AS final FROM job WHERE id = ANY(:ids::bigint[])

-- name: events
-- Changes and other events, both numbered without gaps: the sum says how many there were.
SELECT id, revision + coalesce((SELECT max(number) FROM dataset_event WHERE dataset_id = d.id), 0) AS step,
       deleted_at IS NOT NULL AS final
FROM dataset d WHERE id = ANY(:ids::bigint[])

-- name: datasets
SELECT id, revision AS step, deleted_at IS NOT NULL AS final FROM dataset WHERE id = ANY(:ids::bigint[])
