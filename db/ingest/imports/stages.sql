-- name: dataset
SELECT type, input_path, label_names FROM dataset WHERE id = :id AND deleted_at IS NULL

-- name: lines
SELECT position, path, origin, entry FROM import_line
WHERE job_id = :job_id AND position > :position ORDER BY position LIMIT :count
