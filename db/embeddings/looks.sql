-- name: datasets
SELECT id, input_path, revision FROM dataset WHERE compares_looks AND deleted_at IS NULL ORDER BY id

-- name: unhashed
SELECT source.id, source.path, source.size, sample.path AS sample_path
FROM sample JOIN source ON source.id = sample.source_id
WHERE sample.dataset_id = :dataset_id AND sample.path > :after AND source.status = 'PRESENT'
  AND NOT EXISTS (SELECT FROM look WHERE look.source_id = sample.source_id)
ORDER BY sample.path LIMIT :limit

-- name: lock
-- Who groups a dataset's hashes sees all groups that others made.
SELECT pg_advisory_xact_lock(9, :dataset_id::bigint::int)

-- name: add
WITH given AS (
    SELECT * FROM unnest(:sources::bigint[], :hashes::bigint[]) AS given (source_id, hash)
), added AS (
    INSERT INTO look (source_id, dataset_id, hash)
    SELECT source_id, :dataset_id, hash FROM given WHERE EXISTS (SELECT FROM source WHERE id = source_id)
    ON CONFLICT DO NOTHING
)
INSERT INTO look_hash (id, dataset_id, hash, group1, group2)
SELECT number, :dataset_id, hash, number, number
FROM (
    SELECT hash, nextval('look_hash_id_seq') AS number
    FROM (SELECT DISTINCT hash FROM given WHERE hash IS NOT NULL ORDER BY hash) AS every
) AS numbered
ON CONFLICT (dataset_id, hash) DO NOTHING

-- name: share
-- Those that several sources have.
UPDATE look_hash SET is_shared = true
WHERE dataset_id = :dataset_id AND hash = ANY(:hashes::bigint[]) AND NOT is_shared
  AND (SELECT count(*) FROM (
      SELECT FROM look WHERE look.dataset_id = :dataset_id AND look.hash = look_hash.hash LIMIT 2
  ) AS two) > 1

-- name: neighbours
-- OFFSET: one search in the index of parts for each hash, whatever the planner expects. They contain the dataset, too.
SELECT given.hash AS one, other.hash AS other, bit_count((other.hash # given.hash)::bit(64)) AS distance
FROM unnest(:hashes::bigint[]) AS given (hash)
CROSS JOIN LATERAL (
    SELECT dataset_id, hash FROM look_hash
    WHERE look_parts(look_hash.dataset_id, look_hash.hash) && look_parts(:dataset_id, given.hash) OFFSET 0
) AS other
WHERE other.dataset_id = :dataset_id AND bit_count((other.hash # given.hash)::bit(64)) BETWEEN 1 AND 2

-- name: mark
UPDATE look_hash SET is_shared = true WHERE dataset_id = :dataset_id AND hash = ANY(:hashes::bigint[])
RETURNING hash, group1, group2

-- name: merge
-- example: column = group2
UPDATE look_hash SET {column} = merged.new FROM unnest(:old::bigint[], :new::bigint[]) AS merged (old, new)
WHERE dataset_id = :dataset_id AND is_shared AND {column} = merged.old
