-- name: rasters
-- Samples that are there, with the size of their images.
SELECT sample.path, source.width, source.height, source.orientation FROM sample JOIN source ON source.id = sample.source_id
WHERE sample.dataset_id = :dataset_id AND sample.path = ANY(:paths::text[])

-- name: claims
-- Lines that have a path, deletions of its file that are under way, uploads that it is kept free for; and its sample.
SELECT false AS is_sample FROM import_line WHERE job_id = :job_id AND path = :path
UNION ALL SELECT false FROM source_deletion WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL
UNION ALL SELECT false FROM upload WHERE dataset_id = :dataset_id AND path = :path AND finished_at IS NULL
UNION ALL SELECT true FROM sample WHERE dataset_id = :dataset_id AND path = :path
