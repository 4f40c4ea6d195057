-- name: labels
SELECT id, name FROM label WHERE dataset_id = :dataset_id ORDER BY id
