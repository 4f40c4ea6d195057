-- name: input_path
SELECT input_path FROM dataset WHERE id = :dataset_id

-- name: cancel
-- As one that was refused: completing it says why. The sweep looks at it again when its URLs have ended.
UPDATE upload SET finished_at = clock_timestamp(), error_code = 'NOT_FOUND', error = :error
WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) AND finished_at IS NULL
RETURNING key, staged

-- name: sealed
SELECT key FROM import_upload
WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) AND expires_at > now()
  AND EXISTS (SELECT FROM job WHERE job.dataset_id = import_upload.dataset_id AND job.kind = 'IMPORT'
                AND job.status IN ('QUEUED', 'RUNNING') AND job.arguments ->> 'staged' = import_upload.staged)
ORDER BY key LIMIT 1

-- name: cancel_files
-- One that has expired gives its key to the next that is requested.
UPDATE import_upload SET expires_at = now()
WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) AND expires_at > now()
RETURNING key, staged
