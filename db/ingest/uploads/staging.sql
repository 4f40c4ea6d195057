-- name: awaited
SELECT dataset_id, input_path, size FROM upload JOIN dataset ON dataset.id = dataset_id
WHERE staged = :name AND finished_at IS NULL AND deleted_at IS NULL

-- name: due
-- A row that is given out is due again later, so that two sweeps at once share the work, and a crash is made up for.
UPDATE upload u SET sweep_at = now() + interval '10 min'
FROM dataset
WHERE dataset.id = u.dataset_id
  AND u.id IN (SELECT id FROM upload WHERE sweep_at <= now() ORDER BY sweep_at, id LIMIT :count FOR UPDATE SKIP LOCKED)
RETURNING u.id, u.staged, u.cleared, u.sweep_at, u.expires_at < now() - interval '7 days' AS old, dataset.input_path

-- name: mark_cleared
-- Not those that were requested again, or are being completed, since they were given out: they are due later.
UPDATE upload SET cleared = true, sweep_at = finished_at + interval '7 days'
FROM unnest(:ids::bigint[], :sweep_at::timestamptz[]) AS due (id, sweep_at)
WHERE upload.id = due.id AND upload.sweep_at = due.sweep_at AND finished_at IS NOT NULL

-- name: forget
DELETE FROM upload USING unnest(:ids::bigint[], :sweep_at::timestamptz[], :done::boolean[]) AS due (id, sweep_at, done)
WHERE upload.id = due.id AND upload.sweep_at = due.sweep_at AND (due.done OR finished_at IS NULL)

-- name: staged
SELECT upload.id, staged, input_path FROM upload JOIN dataset ON dataset.id = dataset_id
WHERE dataset_id = :dataset_id AND NOT cleared AND upload.id > :last ORDER BY upload.id LIMIT :count
