-- name: dataset
SELECT revision FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: latest_sync
SELECT id FROM job WHERE dataset_id = :dataset_id AND kind = 'SYNC' ORDER BY id DESC LIMIT 1

-- name: dataset_of_job
SELECT job.dataset_id FROM job JOIN dataset d ON d.id = job.dataset_id
WHERE job.id = :job_id AND job.kind = :kind AND d.deleted_at IS NULL

-- name: changes
SELECT id, revision FROM change WHERE dataset_id = :dataset_id AND revision > :revision ORDER BY revision LIMIT 100
