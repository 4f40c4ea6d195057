-- name: keep_uploaded
INSERT INTO import_file (job_id, data) VALUES (:job_id, :data)
