-- name: with_hash
SELECT id, name, scope, dataset_ids, expires_at FROM token
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND hash = :hash

-- name: with_id
SELECT id, name, scope, dataset_ids, expires_at FROM token
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND id = :id

-- name: end_uploads
-- Their keys begin with the number of the token.
UPDATE import_upload SET expires_at = now() WHERE split_part(key, ':', 1) = ANY(:tokens::text[]) AND expires_at > now()
