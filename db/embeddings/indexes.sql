-- name: due
-- Models without a valid index that have many embeddings, of which none came in the last half minute, or the first an
-- hour ago; and indexes of models that are gone, without a dimension.
WITH existing AS (
    SELECT substr(relname, 14)::bigint AS id, indisvalid AS is_valid
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass('embedding') AND relname ~ '^embedding_of_[0-9]+$'
)
SELECT model.id, dimension, embeddings, existing.id IS NOT NULL AS is_there
FROM embedding_model model LEFT JOIN existing USING (id)
WHERE embeddings > :many AND existing.is_valid IS NOT TRUE
  AND (changed_at < now() - interval '30 s' OR created_at < now() - interval '1 hour')
UNION ALL
SELECT existing.id, NULL, NULL, true
FROM existing WHERE NOT EXISTS (SELECT FROM embedding_model model WHERE model.id = existing.id)
ORDER BY id

-- name: index_key
SELECT expression || ' ' || operator_class FROM embedding_index(:dimension::int)

-- name: set_center
-- Of some of them, which is as good as of all; and only once: the index's rows depend on it.
UPDATE embedding_model SET center = (
    SELECT avg(vector)::real[] FROM (SELECT vector FROM embedding WHERE model_id = :model_id LIMIT 10000) AS first
)
WHERE id = :model_id AND center IS NULL
