-- name: with_hash
SELECT id, name, scope, dataset_ids, expires_at FROM token
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND hash = :hash

-- name: with_id
SELECT id, name, scope, dataset_ids, expires_at FROM token
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND id = :id
