-- name: wait_for_writers
-- For those who locked the dataset before its deletion; nobody locks it after it.
SELECT pg_advisory_xact_lock(1, :dataset_id::bigint::int)

-- name: delete_batch
-- example: table = change; order = ORDER BY id
DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE dataset_id = :dataset_id {order} LIMIT :limit))

-- name: delete_other_jobs
WITH samples AS (
    DELETE FROM export_sample USING job WHERE job.id = job_id AND dataset_id = :dataset_id
), labelled AS (
    DELETE FROM auto_label_sample USING job WHERE job.id = job_id AND dataset_id = :dataset_id
), examples AS (
    DELETE FROM auto_label_example USING job WHERE job.id = job_id AND dataset_id = :dataset_id
)
DELETE FROM job WHERE dataset_id = :dataset_id AND id <> :job_id

-- name: delete_job
DELETE FROM job WHERE id = :job_id AND epoch = :epoch

-- name: delete_dataset
DELETE FROM dataset WHERE id = :dataset_id
