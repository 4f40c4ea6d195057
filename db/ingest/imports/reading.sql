-- name: assign_paths
-- $2: characters of the folder that all images outside the input path share.
UPDATE import_line SET path = regexp_replace(substr(origin, $2 + 1), '^(s3://|/)', '')
WHERE job_id = $1 AND path IS NULL

-- name: drop_doubles
WITH ranked AS (
    SELECT position, path, min(position) OVER (PARTITION BY path) AS first FROM import_line WHERE job_id = $1
), gone AS (
    DELETE FROM import_line l USING ranked r
    WHERE l.job_id = $1 AND l.position = r.position AND r.first < r.position
    RETURNING r.position, r.path, r.first
)
SELECT position, path, first, count(*) OVER () AS dropped FROM gone ORDER BY position LIMIT 10000
