-- name: claims
-- Lines that have a path, deletions of its file that are under way, uploads that it is kept free for; and its sample.
SELECT false AS is_sample FROM import_line WHERE job_id = :job_id AND path = :path
UNION ALL SELECT false FROM source_deletion WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL
UNION ALL SELECT false FROM upload WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL
UNION ALL SELECT true FROM sample WHERE dataset_id = :dataset_id AND path = :path
