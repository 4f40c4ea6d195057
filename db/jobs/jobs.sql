-- name: insert_job
-- A second active sync or import of a dataset violates the index job_one_active, a token's second dry run of a sync the index
-- job_one_dry_run, a second manifest of a version the index job_one_manifest, a second auto labelling of a dataset the
-- index job_one_auto_label; none of them is inserted.
INSERT INTO job (dataset_id, kind, requested_by, arguments, version_id, format, is_dry_run, needs, waits_for)
SELECT id, :kind, :requested_by, :arguments::text::jsonb, :version_id, :arguments::text::jsonb ->> 'format',
       coalesce((:arguments::text::jsonb ->> 'dry_run')::boolean, false), :needs::text,
       CASE WHEN :needs::text IS NOT NULL AND NOT EXISTS (
           SELECT FROM pg_locks
           WHERE locktype = 'advisory' AND classid = :ability_class::int::oid AND objid = :need_number::int::oid
             AND objsubid = 2 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ) THEN :needs::text END
FROM dataset WHERE id = :dataset_id AND (deleted_at IS NULL OR :kind = 'PURGE')
ON CONFLICT DO NOTHING
RETURNING id

-- name: insert_running
INSERT INTO job (dataset_id, kind, status, requested_by, matched, progress, started_at, heartbeat_at)
SELECT id, :kind, 'RUNNING', :requested_by, :samples, 0, clock_timestamp(), clock_timestamp()
FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL
RETURNING id

-- name: active_ingest
-- The dry run of a sync is none: nothing waits for it.
SELECT id, kind FROM job
WHERE dataset_id = :dataset_id AND kind IN ('SYNC', 'IMPORT') AND status IN ('QUEUED', 'RUNNING')
  AND NOT (kind = 'SYNC' AND is_dry_run)

-- name: active_dry_run
SELECT id FROM job
WHERE dataset_id = :dataset_id AND requested_by = :requested_by AND kind = 'SYNC' AND is_dry_run AND status IN ('QUEUED', 'RUNNING')

-- name: count_active
SELECT kind, status, count(*) FROM job WHERE status IN ('QUEUED', 'RUNNING') GROUP BY kind, status

-- name: cancel
-- A queued job ends here; a running one learns of it with its next heartbeat.
UPDATE job SET cancel_requested = true, step = step + 1,
               status = CASE status WHEN 'QUEUED' THEN 'CANCELED' ELSE status END,
               finished_at = CASE status WHEN 'QUEUED' THEN clock_timestamp() END
WHERE id = :job_id AND status IN ('QUEUED', 'RUNNING') AND NOT cancel_requested
RETURNING status

-- name: claim
-- Of all that is due, first what somebody may wait for who manages the dataset: exports and dry runs of syncs, which whoever
-- may read may start, come after that, or before it when they are late and it is their turn. Among themselves, first those
-- of the token that has the fewest running, and was served longest ago (:served, the last one at its end); then of the
-- dataset that has the fewest. Without jobs that need what this worker lacks.
WITH running AS MATERIALIZED (
    SELECT requested_by, dataset_id FROM job
    WHERE status = 'RUNNING' AND (kind = 'EXPORT' OR kind = 'SYNC' AND is_dry_run)
), of_reader AS MATERIALIZED (
    SELECT id, due_at, coalesce(array_position(:served::text[], requested_by), 0) AS served,
           (SELECT count(*) FROM running WHERE running.requested_by = job.requested_by) AS of_token,
           (SELECT count(*) FROM running WHERE running.dataset_id = job.dataset_id) AS of_dataset
    FROM job
    WHERE status = 'QUEUED' AND due_at <= now() AND (kind = 'EXPORT' OR kind = 'SYNC' AND is_dry_run) AND :of_readers
)
UPDATE job SET status = 'RUNNING', epoch = epoch + 1, worker = :worker, step = step + 1, claims = claims + 1,
               attempts = attempts + 1, heartbeat_at = clock_timestamp(), waits_for = NULL,
               started_at = coalesce(started_at, clock_timestamp())
WHERE id = coalesce(
    (SELECT job.id FROM job JOIN of_reader ON of_reader.id = job.id
     WHERE status = 'QUEUED' AND :late_first AND of_reader.due_at <= now() - :patience::interval
     ORDER BY of_token, served, of_dataset, job.due_at, job.id LIMIT 1 FOR NO KEY UPDATE OF job SKIP LOCKED),
    (SELECT id FROM job
     WHERE status = 'QUEUED' AND due_at <= now() AND NOT (kind = 'EXPORT' OR kind = 'SYNC' AND is_dry_run)
       AND (needs IS NULL OR needs = ANY(:abilities::text[]))
     ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
    (SELECT job.id FROM job JOIN of_reader ON of_reader.id = job.id
     WHERE status = 'QUEUED'
     ORDER BY of_token, served, of_dataset, job.due_at, job.id LIMIT 1 FOR NO KEY UPDATE OF job SKIP LOCKED)
)
RETURNING id, dataset_id, kind, epoch, attempts, claims, arguments::text, checkpoint::text, requested_by,
          kind = 'EXPORT' OR kind = 'SYNC' AND is_dry_run AS is_of_reader

-- name: finish
-- Returns no row if the claim is no longer valid.
UPDATE job SET status = :status, finished_at = clock_timestamp(), worker = NULL, step = step + 1,
               progress = CASE :status WHEN 'SUCCEEDED' THEN 1 ELSE progress END,
               error_code = :error_code, error_message = :error_message, error_details = :error_details::text::jsonb
WHERE id = :job_id AND epoch = :epoch AND status = 'RUNNING'
RETURNING id

-- name: release
-- Returns no row if the claim is no longer valid. The first five claims without progress follow one another at once;
-- the pause before each later one is twice as long, up to five minutes: a job that brings the database down every time
-- leaves the others some time in between.
UPDATE job SET status = CASE WHEN cancel_requested THEN 'CANCELED' ELSE 'QUEUED' END,
               finished_at = CASE WHEN cancel_requested THEN clock_timestamp() END,
               epoch = epoch + 1, worker = NULL, step = step + 1,
               attempts = CASE WHEN :refund_attempt THEN greatest(attempts - 1, 0) ELSE attempts END,
               due_at = clock_timestamp() + greatest(:after::interval, CASE
                   WHEN claims > 5 THEN least(2 ^ (claims - 6) * interval '1 s', interval '5 min')
               END)
WHERE id = :job_id AND epoch = :epoch AND status = 'RUNNING'
RETURNING status

-- name: orphans
-- Running jobs whose worker is dead: its lock is free, or it has sent no heartbeat for a while. One that a request does
-- itself (kind :foreground) has heartbeats alone. When Postgres
-- itself was restarted, that a worker lost its job proves nothing. NO KEY: a dead worker's transaction may still be open,
-- and lock the keys that its new rows refer to. By dataset: so each commit locks the events of the datasets in one order.
SELECT id, epoch, kind, coalesce(heartbeat_at < pg_postmaster_start_time(), false) AS server_restarted
FROM job
WHERE status = 'RUNNING' AND (
    coalesce(heartbeat_at, '-infinity') < clock_timestamp() - :lease::interval
    OR kind <> :foreground AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = :lock_class::int::oid AND objid = job.worker::oid AND objsubid = 2
          AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
)
ORDER BY dataset_id, id
FOR NO KEY UPDATE SKIP LOCKED

-- name: note_waiting
-- Queued jobs for which a living worker has just come or gone. A worker holds the lock of what it is able to do.
WITH queued AS MATERIALIZED (
    SELECT id, needs, waits_for FROM job WHERE status = 'QUEUED' AND needs IS NOT NULL
    ORDER BY dataset_id, id FOR NO KEY UPDATE SKIP LOCKED
), able AS MATERIALIZED (
    SELECT name FROM unnest(:names::text[], :numbers::int[]) AS ability (name, number)
    WHERE EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = :ability_class::int::oid AND objid = ability.number::oid AND objsubid = 2
          AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
)
UPDATE job SET waits_for = found.waits_for, step = step + 1
FROM (
    SELECT id, CASE WHEN needs IN (SELECT name FROM able) THEN NULL ELSE needs END AS waits_for FROM queued
) AS found
WHERE job.id = found.id AND job.waits_for IS DISTINCT FROM found.waits_for
RETURNING job.id

-- name: clear_staging
-- What a sync, an import, an export or an auto labelling prepared, or was given.
WITH objects AS (DELETE FROM sync_object WHERE job_id = :job_id),
     unchanged AS (DELETE FROM sync_unchanged WHERE job_id = :job_id),
     sidecars AS (DELETE FROM sync_sidecar WHERE job_id = :job_id),
     items AS (DELETE FROM sync_item WHERE job_id = :job_id),
     staged AS (DELETE FROM staging WHERE job_id = :job_id),
     samples AS (DELETE FROM export_sample WHERE job_id = :job_id),
     files AS (DELETE FROM import_file WHERE job_id = :job_id),
     labelled AS (DELETE FROM auto_label_sample WHERE job_id = :job_id),
     examples AS (DELETE FROM auto_label_example WHERE job_id = :job_id)
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
               labeled = labeled + :labeled, matched = matched + :matched, kept = kept + :kept,
               missing = missing + :missing, beyond = beyond + :beyond, unchanged = coalesce(:unchanged, unchanged),
               attempts = CASE WHEN :checkpoint::text IS NULL THEN attempts ELSE 0 END,
               claims = CASE WHEN :checkpoint::text IS NULL THEN claims ELSE 0 END,
               step = step + 1, heartbeat_at = clock_timestamp()
WHERE id = :job_id AND epoch = :epoch AND status = 'RUNNING'
RETURNING id

-- name: warn
-- Warnings, some of them about a label name: one that has a warning is counted again. Of the others as many are written
-- as there is room for.
WITH warning AS (
    SELECT * FROM unnest(:names::text[], :paths::text[], :messages::text[], :counts::bigint[])
        WITH ORDINALITY AS warning (name, path, message, count, position)
), known AS (
    UPDATE job_warning SET count = job_warning.count + warning.count FROM warning
    WHERE job_warning.job_id = :job_id AND job_warning.name = warning.name
    RETURNING job_warning.name
)
INSERT INTO job_warning (job_id, path, message, name, count)
SELECT :job_id, path, message, name, count FROM warning
WHERE name IS NULL OR name NOT IN (SELECT name FROM known) ORDER BY position
LIMIT greatest(0, :max_warnings - (SELECT count(*) FROM job_warning WHERE job_id = :job_id))
ON CONFLICT DO NOTHING

-- name: notice
-- Those of a kind are counted, and the first are kept as examples.
INSERT INTO import_notice (job_id, kind, count, examples)
SELECT :job_id, kind, count, ARRAY(SELECT jsonb_array_elements_text(examples::jsonb))
FROM unnest(:kinds::text[], :counts::bigint[], :examples::text[]) AS notice (kind, count, examples)
ON CONFLICT (job_id, kind) DO UPDATE
SET count = import_notice.count + excluded.count, examples = (import_notice.examples || excluded.examples)[1:(:most)::int]

-- name: give_examples
-- The first ones are kept.
INSERT INTO sync_example (job_id, effect, paths, former_paths) VALUES (:job_id, :effect, :paths::text[], :former::text[])
ON CONFLICT (job_id, effect) DO UPDATE
SET paths = (sync_example.paths || excluded.paths)[1:(:most)::int],
    former_paths = (sync_example.former_paths || excluded.former_paths)[1:(:most)::int]

-- name: notify
SELECT pg_notify(:channel, :payload)

-- name: lock_worker
SELECT pg_try_advisory_lock(:lock_class, :worker)

-- name: unlock_worker
SELECT pg_advisory_unlock(:lock_class, :worker)

-- name: lock_ability
-- Shared by all workers that have it, as long as their connections last.
SELECT pg_try_advisory_lock_shared(:ability_class, :number)

-- name: unlock_ability
SELECT pg_advisory_unlock_shared(:ability_class, :number)
