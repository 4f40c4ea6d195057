-- name: keep
-- What is a sample already stays one while its file is there, whatever the rules say by now. $1 job, $2 dataset.
WITH kept AS (
    UPDATE sync_object o SET reason = NULL
    WHERE job_id = $1 AND NOT sidecar AND reason IS NOT NULL
      AND EXISTS (SELECT FROM sample WHERE dataset_id = $2 AND sample.path = o.path)
    RETURNING path
)
SELECT count(*) AS count, min(path) AS first FROM kept

-- name: pair
-- To each image that is taken the nearest of its sidecars; of two whose names differ in their form of Unicode alone, the
-- one in the image's form.
INSERT INTO sync_sidecar (job_id, path, sidecar_path, sidecar_etag)
SELECT DISTINCT ON (image.path) $1, image.path, sidecar.path, sidecar.etag
FROM (SELECT path, key, n FROM sync_object, unnest(keys) WITH ORDINALITY AS k (key, n)
      WHERE job_id = $1 AND NOT sidecar AND reason IS NULL) image
JOIN (SELECT path, etag, modified_at, key FROM sync_object, unnest(keys) AS k (key) WHERE job_id = $1 AND sidecar) sidecar
     USING (key)
ORDER BY image.path, n, (composed(image.path) = image.path) <> (composed(sidecar.path) = sidecar.path),
         sidecar.path, sidecar.modified_at DESC, sidecar.etag

-- name: ignored
-- How many images are passed over for each reason, and how many sidecars belong to none, with the first $2 of each.
WITH image AS (
    SELECT key FROM sync_object, unnest(keys) AS k (key) WHERE job_id = $1 AND NOT sidecar AND reason IS NULL
), unused AS (
    SELECT path, keys, reason FROM sync_object o
    WHERE job_id = $1 AND sidecar
      AND NOT EXISTS (SELECT FROM sync_sidecar s WHERE s.job_id = $1 AND s.sidecar_path = o.path)
), overridden AS (
    SELECT DISTINCT path FROM unused, unnest(keys) AS k (key) JOIN image USING (key)
), passed AS (
    SELECT path, reason FROM sync_object WHERE job_id = $1 AND NOT sidecar AND reason IS NOT NULL
    UNION ALL
    SELECT unused.path, CASE WHEN overridden.path IS NOT NULL THEN 'SIDECAR_OVERRIDDEN'
                             ELSE coalesce(reason, 'SIDECAR_WITHOUT_IMAGE') END
    FROM unused LEFT JOIN overridden USING (path)
), numbered AS (
    SELECT path, reason, row_number() OVER (PARTITION BY reason ORDER BY path) AS n FROM passed
)
SELECT reason, count(*) AS count, array_agg(path ORDER BY n) FILTER (WHERE n <= $2) AS examples
FROM numbered GROUP BY reason

-- name: forget
DELETE FROM ignored_files WHERE job_id = $1

-- name: write
INSERT INTO ignored_files (job_id, reason, suffix, count, examples)
SELECT $1, reason, suffix, count, ARRAY(SELECT jsonb_array_elements_text(examples::jsonb))
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[])
     WITH ORDINALITY AS given (reason, suffix, count, examples, n)
ORDER BY n
