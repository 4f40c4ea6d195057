-- name: find_image
SELECT s.id, s.dataset_id, s.path, s.etag, s.size, s.format, s.width, s.height, d.input_path
FROM source s JOIN dataset d ON d.id = s.dataset_id
WHERE s.id = :source_id AND s.status = 'PRESENT' AND s.format IS NOT NULL AND d.deleted_at IS NULL

-- name: input_paths
SELECT name, input_path FROM dataset WHERE deleted_at IS NULL ORDER BY id
