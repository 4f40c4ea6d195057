-- name: rasters
-- Samples that are there, with the size of their images.
SELECT sample.path, source.width, source.height, source.orientation FROM sample JOIN source ON source.id = sample.source_id
WHERE sample.dataset_id = :dataset_id AND sample.path = ANY(:paths::text[])
