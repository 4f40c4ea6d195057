-- name: lock
SELECT id FROM upload WHERE dataset_id = :dataset_id AND key = ANY(:keys::text[]) ORDER BY id FOR UPDATE

-- name: rows
SELECT upload.id, key, file_name, size, labels, create_missing, on_conflict, upload.path, staged,
       finished_at, error_code, error, generation, sample.id AS sample
FROM upload LEFT JOIN sample ON sample.id = upload.sample_id
WHERE upload.dataset_id = :dataset_id AND key = ANY(:keys::text[])
