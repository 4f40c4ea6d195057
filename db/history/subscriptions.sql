-- name: dataset
SELECT revision FROM dataset WHERE id = :dataset_id AND deleted_at IS NULL

-- name: latest_sync
SELECT id FROM job WHERE dataset_id = :dataset_id AND kind = 'SYNC' AND NOT is_dry_run ORDER BY id DESC LIMIT 1

-- name: dataset_of_job
SELECT job.dataset_id FROM job JOIN dataset d ON d.id = job.dataset_id
WHERE job.id = :job_id AND job.kind = :kind AND d.deleted_at IS NULL

-- name: changes
SELECT id, revision FROM change WHERE dataset_id = :dataset_id AND revision > :revision ORDER BY revision LIMIT 100

-- name: position
SELECT revision, coalesce((SELECT max(number) FROM dataset_event WHERE dataset_id = d.id), 0) AS number
FROM dataset d WHERE id = :dataset_id AND deleted_at IS NULL

-- name: events
-- Of both sequences what comes next, in one order: an event at a revision is behind the change of that revision. Those of
-- one statement have all that was committed before them.
SELECT * FROM (
    (SELECT revision, 0 AS number, 'CHANGE' AS kind, id AS subject_id, '' AS detail
     FROM change WHERE dataset_id = :dataset_id AND revision > :revision ORDER BY revision LIMIT 100)
    UNION ALL
    (SELECT e.revision, e.number, coalesce(job.kind, e.kind), e.subject_id, e.detail
     FROM dataset_event e LEFT JOIN job ON e.kind = 'JOB' AND job.id = e.subject_id
     WHERE e.dataset_id = :dataset_id AND e.number > :number ORDER BY e.number LIMIT 100)
) AS event ORDER BY revision, number LIMIT 100
