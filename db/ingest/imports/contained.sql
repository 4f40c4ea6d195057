-- name: known
-- Paths of samples; and those whose files are being deleted, or that are kept free for uploads.
SELECT path, bool_and(is_sample) AS is_sample
FROM (SELECT path, true AS is_sample FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[])
      UNION ALL SELECT path, false FROM source_deletion
      WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
      UNION ALL SELECT path, false FROM upload
      WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL) AS known
GROUP BY path
