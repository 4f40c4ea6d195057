-- name: find_file
SELECT d.id AS dataset_id, e.location, f.object, f.path AS name, f.size, f.sha256
FROM export_file f JOIN export e USING (job_id) JOIN job j ON j.id = e.job_id JOIN dataset d ON d.id = e.dataset_id
WHERE f.id = :file_id AND j.status = 'SUCCEEDED' AND d.deleted_at IS NULL
  AND (e.expires_at IS NULL OR e.expires_at > now())

-- name: due
-- What is looked at is due again some minutes later. Given out is what has expired, and what did not succeed.
WITH looked AS (
    UPDATE export SET sweep_at = CASE WHEN job.status = 'SUCCEEDED' AND NOT is_temporary THEN NULL
                                      ELSE greatest(now(), CASE WHEN job.status = 'SUCCEEDED' THEN expires_at END)
                                           + interval '5 min' END
    FROM job
    WHERE job.id = job_id AND job_id IN (
        SELECT job_id FROM export WHERE sweep_at <= now() ORDER BY sweep_at LIMIT :count FOR UPDATE SKIP LOCKED
    )
    RETURNING job_id, location, folder, is_temporary, expires_at, status, finished_at
)
SELECT job_id, location, folder, is_temporary, (SELECT count(*) FROM export_file f WHERE f.job_id = looked.job_id) AS files
FROM looked WHERE (status IN ('FAILED', 'CANCELED') AND finished_at < now() - interval '1 min') OR (status = 'SUCCEEDED' AND is_temporary AND expires_at <= now())

-- name: is_running
SELECT EXISTS (SELECT FROM job WHERE dataset_id = :dataset_id AND kind = 'EXPORT' AND status = 'RUNNING')

-- name: to_clear
SELECT job_id, location, folder, is_temporary, (SELECT count(*) FROM export_file f WHERE f.job_id = export.job_id) AS files
FROM export JOIN job ON job.id = job_id
WHERE export.dataset_id = :dataset_id AND (is_temporary OR status <> 'SUCCEEDED')

-- name: forget
WITH files AS (DELETE FROM export_file WHERE job_id = :job_id)
UPDATE export SET sweep_at = NULL WHERE job_id = :job_id
