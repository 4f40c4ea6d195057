-- name: begin
INSERT INTO staging (job_id) VALUES (:job_id) ON CONFLICT DO NOTHING

-- name: is_staged
SELECT EXISTS (SELECT FROM staging WHERE job_id = :job_id)
