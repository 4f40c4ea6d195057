-- name: input_path
SELECT input_path FROM dataset WHERE id = :dataset_id

-- name: cancel
-- As one that was refused: completing it says why. The sweep looks at it again when its URLs have ended. Ours have now, those
-- of a bucket later: until then its bytes count.
UPDATE upload SET finished_at = clock_timestamp(), error_code = 'NOT_FOUND', error = :error,
    expires_at = CASE WHEN input_path LIKE 's3://%' THEN expires_at ELSE now() END
FROM dataset
WHERE dataset_id = :dataset_id AND dataset.id = dataset_id AND key = ANY(:keys::text[]) AND finished_at IS NULL
RETURNING key, staged

-- name: sealed
SELECT key FROM import_upload
WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) AND expires_at > now()
  AND EXISTS (SELECT FROM job WHERE job.dataset_id = import_upload.dataset_id AND job.kind = 'IMPORT'
                AND job.status IN ('QUEUED', 'RUNNING') AND job.arguments ->> 'staged' = import_upload.staged)
ORDER BY key LIMIT 1

-- name: cancel_files
-- As above; its key is free, and no client's any more (`\x01`), but still says the token.
UPDATE import_upload SET expires_at = now(), key = split_part(old.key, ':', 1) || E':\x01' || old.staged,
    urls_until = CASE WHEN input_path LIKE 's3://%' THEN import_upload.urls_until ELSE now() END
FROM dataset, import_upload old
WHERE import_upload.dataset_id = :dataset_id AND dataset.id = import_upload.dataset_id
  AND import_upload.key = ANY(:keys::text[]) AND import_upload.expires_at > now() AND old.staged = import_upload.staged
RETURNING old.key, old.staged
