-- name: set_aside
-- A key is that of a client behind the number of its token (`key_of`).
-- What is expired may be cleared away at any moment, so its key goes to a new one.
UPDATE import_upload SET key = staged WHERE dataset_id = :dataset_id AND key = :key AND expires_at <= now()

-- name: is_requested
SELECT EXISTS (SELECT FROM import_upload WHERE dataset_id = :dataset_id AND key = :key)

-- name: request
WITH written AS (
    INSERT INTO import_upload (dataset_id, key, file_name, size, staged, expires_at, urls_until)
    VALUES (:dataset_id, :key, :file_name, :size, :staged, now() + :kept::interval, :urls_until::timestamptz)
    ON CONFLICT (dataset_id, key) DO UPDATE SET
        expires_at = excluded.expires_at, urls_until = greatest(import_upload.urls_until, excluded.urls_until)
    WHERE import_upload.expires_at > clock_timestamp()
    RETURNING dataset_id, key, file_name, size, staged, uploaded
)
SELECT written.*, dataset.input_path FROM written JOIN dataset ON dataset.id = dataset_id

-- name: of_key
SELECT dataset_id, key, file_name, size, staged, uploaded, input_path
FROM import_upload JOIN dataset ON dataset.id = dataset_id
WHERE dataset_id = :dataset_id AND key = :key AND expires_at > now() AND deleted_at IS NULL

-- name: staged_as
SELECT dataset_id, key, file_name, size, staged, uploaded, input_path
FROM import_upload JOIN dataset ON dataset.id = dataset_id
WHERE staged = :name AND deleted_at IS NULL

-- name: awaited
SELECT dataset_id, key, file_name, size, staged, uploaded, input_path,
       EXISTS (SELECT FROM job WHERE job.dataset_id = import_upload.dataset_id AND job.kind = 'IMPORT'
                 AND job.status IN ('QUEUED', 'RUNNING') AND job.arguments ->> 'staged' = import_upload.staged) AS is_sealed
FROM import_upload JOIN dataset ON dataset.id = dataset_id
WHERE staged = :name AND expires_at > now() AND deleted_at IS NULL

-- name: of_dataset
SELECT dataset_id, key, file_name, size, staged, uploaded, input_path
FROM import_upload JOIN dataset ON dataset.id = dataset_id
WHERE dataset_id = :dataset_id

-- name: note_uploaded
UPDATE import_upload SET uploaded = greatest(uploaded, :uploaded) WHERE staged = :staged

-- name: expire
-- Where an import skipped everything, the parts are kept for another one.
UPDATE import_upload SET expires_at = now()
WHERE staged = :staged AND EXISTS (SELECT FROM job WHERE id = :job_id AND scanned > skipped)

-- name: due
-- Of no dataset in which an import may still read. What is given out is due again later, so that two sweeps at once share
-- the work, and a crash is made up for.
UPDATE import_upload u SET sweep_at = now() + interval '10 min'
FROM dataset
WHERE dataset.id = u.dataset_id
  AND u.staged IN (
      SELECT staged FROM import_upload
      WHERE expires_at <= now() AND sweep_at <= now()
        AND NOT EXISTS (SELECT FROM job WHERE job.dataset_id = import_upload.dataset_id AND kind = 'IMPORT'
                          AND status IN ('QUEUED', 'RUNNING'))
      ORDER BY expires_at LIMIT :count FOR UPDATE SKIP LOCKED)
RETURNING u.dataset_id, u.key, u.file_name, u.size, u.staged, u.uploaded, dataset.input_path

-- name: forget
-- What may still be put by a URL is cleared away later.
WITH kept AS (
    UPDATE import_upload SET sweep_at = urls_until + :grace::interval
    WHERE staged = ANY(:staged::text[]) AND urls_until + :grace::interval > now()
)
DELETE FROM import_upload WHERE staged = ANY(:staged::text[]) AND urls_until + :grace::interval <= now()
