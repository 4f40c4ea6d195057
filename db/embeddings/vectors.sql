-- name: model
-- Made by the first call; locked until the commit.
INSERT INTO embedding_model (dataset_id, name, version, dimension)
VALUES (:dataset_id, :name, :version, :dimension::int)
ON CONFLICT (dataset_id, name, version) DO UPDATE SET dimension = embedding_model.dimension
RETURNING id, dimension

-- name: find_model
SELECT id FROM embedding_model WHERE dataset_id = :dataset_id AND name = :name AND version = :version FOR UPDATE

-- name: sources
SELECT id, source_id FROM sample WHERE dataset_id = :dataset_id AND id = ANY(:samples::bigint[])

-- name: lacking
WITH model AS (
    SELECT id, dimension FROM embedding_model WHERE dataset_id = :dataset_id AND name = :name AND version = :version
)
SELECT given.id FROM unnest(:sources::bigint[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM model WHERE dimension <> :dimension::int)
  AND NOT EXISTS (SELECT FROM model JOIN embedding ON model_id = model.id WHERE source_id = given.id)

-- name: present
-- Locked until the commit: none of them is deleted before it has its vector.
SELECT id FROM source WHERE dataset_id = :dataset_id AND id = ANY(:sources::bigint[]) ORDER BY id FOR KEY SHARE

-- name: put
-- In the order of sources, so that two calls do not wait for each other.
WITH stored AS (
    INSERT INTO embedding (model_id, source_id, vector)
    SELECT :model_id, given.source_id, l2_normalize(
        (:numbers::real[])[((given.n - 1) * :dimension::int + 1)::int : (given.n * :dimension::int)::int]::vector
    )::halfvec
    FROM unnest(:sources::bigint[]) WITH ORDINALITY AS given (source_id, n)
    ORDER BY given.source_id
    ON CONFLICT (model_id, source_id) DO UPDATE SET vector = excluded.vector
    RETURNING xmax = 0 AS is_new
), counted AS (
    UPDATE embedding_model SET changed_at = clock_timestamp(),
        embeddings = embeddings + (SELECT count(*) FROM stored WHERE is_new)
    WHERE id = :model_id
)
SELECT count(*) FROM stored

-- name: delete_embeddings
DELETE FROM embedding WHERE model_id = :model_id

-- name: delete_model
DELETE FROM embedding_model WHERE id = :model_id
