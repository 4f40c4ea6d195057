-- name: lock
-- Those keys that no other transaction has, whatever fields its request has.
SELECT token_id, key FROM unnest(:token_ids::bigint[], :keys::text[]) AS given (token_id, key)
WHERE pg_try_advisory_xact_lock(hashtextextended(token_id || ' ' || key, 0))

-- name: outcomes
-- An outcome is stored as text within jsonb: what a client sent may contain NUL, for which jsonb has no escape.
SELECT token_id, key, field, request_hash, outcome #>> '{}' AS outcome
FROM unnest(:token_ids::bigint[], :keys::text[]) AS given (token_id, key) JOIN idempotency USING (token_id, key)

-- name: outcome
SELECT request_hash, outcome #>> '{}' AS outcome FROM idempotency
WHERE token_id = :token_id AND key = :key AND field = :field

-- name: store_outcomes
INSERT INTO idempotency (token_id, key, field, request_hash, outcome)
SELECT token_id, key, field, request_hash, to_jsonb(outcome)
FROM unnest(:token_ids::bigint[], :keys::text[], :fields::text[], :hashes::bytea[], :outcomes::text[])
     AS done (token_id, key, field, request_hash, outcome)
ON CONFLICT (token_id, key, field) DO UPDATE SET outcome = excluded.outcome

-- name: note
INSERT INTO idempotency (token_id, key, field, request_hash) VALUES (:token_id, :key, :field, :request_hash)
ON CONFLICT (token_id, key, field) DO NOTHING

-- name: answers
SELECT field, request_hash, response FROM idempotency WHERE token_id = :token_id AND key = :key

-- name: store_answer
INSERT INTO idempotency (token_id, key, field, request_hash, response)
VALUES (:token_id, :key, '', :request_hash, :answer)
ON CONFLICT (token_id, key, field) DO NOTHING

-- name: answer
SELECT request_hash, response FROM idempotency WHERE token_id = :token_id AND key = :key AND field = ''

-- name: is_larger
SELECT pg_table_size('idempotency') > :bytes

-- name: prune_answers
DELETE FROM idempotency USING (
    SELECT token_id, key,
           sum(octet_length(response)) OVER (PARTITION BY token_id ORDER BY created_at DESC, key) AS size
    FROM idempotency WHERE field = ''
) answer
WHERE answer.size > :bytes AND idempotency.field = ''
  AND idempotency.token_id = answer.token_id AND idempotency.key = answer.key

-- name: prune_keys
-- Sizes as they are stored, which are known without reading what is stored.
DELETE FROM idempotency USING (
    SELECT token_id, key, sum(size) OVER (PARTITION BY token_id ORDER BY begun DESC, key) AS size
    FROM (
        SELECT token_id, key, min(created_at) AS begun,
               sum(100 + octet_length(key) + octet_length(field) + coalesce(pg_column_size(outcome), 0)) AS size
        FROM idempotency GROUP BY token_id, key
    ) one
) every
WHERE every.size > :bytes AND idempotency.token_id = every.token_id AND idempotency.key = every.key

-- name: forget
DELETE FROM idempotency WHERE created_at < now() - :age::interval
