-- name: create_table
-- Once for each connection; every transaction finds it empty.
CREATE TEMP TABLE IF NOT EXISTS selected (id bigint PRIMARY KEY) ON COMMIT DELETE ROWS

-- name: first_page
SELECT id FROM selected JOIN sample USING (id) ORDER BY created_at DESC, id DESC LIMIT :limit

-- name: parts
-- The last id of each part.
SELECT max(id) AS last FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / :size AS part FROM selected) numbered
GROUP BY part ORDER BY part

-- name: samples_at
-- The sample at each of these paths; or else at the same path in the other form of Unicode.
SELECT given.path, found.id
FROM unnest(:paths::text[]) AS given (path)
CROSS JOIN LATERAL (
    SELECT id FROM sample WHERE dataset_id = :dataset_id AND path = given.path
    UNION ALL
    SELECT id FROM sample WHERE dataset_id = :dataset_id AND path = composed(given.path)
    UNION ALL
    SELECT id FROM sample
    WHERE dataset_id = :dataset_id AND composed(path) <> path AND composed(path) = composed(given.path)
    LIMIT 1
) AS found
