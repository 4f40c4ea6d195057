-- name: insert_job
-- A second active sync or import of a dataset violates the index job_one_active, a second manifest of a version the
-- index job_one_manifest; neither is inserted.
INSERT INTO job (dataset_id, kind, requested_by, arguments, version_id)
SELECT id, :kind, :requested_by, :arguments::text::jsonb, :version_id
FROM dataset WHERE id = :dataset_id AND (deleted_at IS NULL OR :kind = 'PURGE')
ON CONFLICT DO NOTHING
RETURNING id

-- name: clear_staging
-- What a sync or an import prepared.
WITH objects AS (DELETE FROM sync_object WHERE job_id = :job_id),
     sidecars AS (DELETE FROM sync_sidecar WHERE job_id = :job_id),
     items AS (DELETE FROM sync_item WHERE job_id = :job_id)
DELETE FROM import_line WHERE job_id = :job_id

-- name: beat
-- Returns no row if the claim is no longer valid.
UPDATE job SET heartbeat_at = clock_timestamp(), progress = greatest(progress, :progress::float8),
               scanned = greatest(scanned, :scanned), step = step + :steps
WHERE id = :job_id AND epoch = :epoch AND status = 'RUNNING'
RETURNING cancel_requested

-- name: advance
-- The last statement of a batch: writers lock the dataset's row last, and deleteDataset goes from there to the jobs.
-- Returns no row if the claim is no longer valid.
UPDATE job SET checkpoint = coalesce(:checkpoint::text::jsonb, checkpoint),
               progress = greatest(progress, :progress::float8),
               scanned = coalesce(:scanned, scanned), ignored = coalesce(:ignored, ignored),
               skipped = coalesce(:skipped_in_all, skipped) + :skipped, added = added + :added,
               updated = updated + :updated, removed = removed + :removed, moved = moved + :moved,
               labeled = labeled + :labeled,
               attempts = CASE WHEN :checkpoint::text IS NULL THEN attempts ELSE 0 END,
               claims = CASE WHEN :checkpoint::text IS NULL THEN claims ELSE 0 END,
               step = step + 1, heartbeat_at = clock_timestamp()
WHERE id = :job_id AND epoch = :epoch AND status = 'RUNNING'
RETURNING id

-- name: warn
INSERT INTO job_warning (job_id, path, message)
SELECT :job_id, path, message
FROM unnest(:paths::text[], :messages::text[]) WITH ORDINALITY AS warning (path, message, position)
ORDER BY position
LIMIT greatest(0, :max_warnings - (SELECT count(*) FROM job_warning WHERE job_id = :job_id))
ON CONFLICT DO NOTHING

-- name: warn_labels
-- A name that has a warning is counted again; of new names as many are written as there is room for.
WITH warning AS (
    SELECT * FROM unnest(:names::text[], :paths::text[], :messages::text[], :counts::bigint[])
        WITH ORDINALITY AS warning (name, path, message, count, position)
), known AS (
    UPDATE job_warning SET count = job_warning.count + warning.count FROM warning
    WHERE job_warning.job_id = :job_id AND job_warning.name = warning.name
    RETURNING job_warning.name
)
INSERT INTO job_warning (job_id, path, message, name, count)
SELECT :job_id, path, message, name, count FROM warning WHERE name NOT IN (SELECT name FROM known) ORDER BY position
LIMIT greatest(0, :max_warnings - (SELECT count(*) FROM job_warning WHERE job_id = :job_id))
ON CONFLICT DO NOTHING

-- name: clear_label_warnings
DELETE FROM job_warning WHERE job_id = :job_id AND name IS NOT NULL
