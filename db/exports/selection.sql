-- name: dataset
SELECT d.id AS dataset_id, d.name, d.type, d.description, d.input_path, v.id AS version_id, v.name AS version,
       (job.arguments ->> 'of_version')::boolean AS wants_version
FROM job JOIN dataset d ON d.id = job.dataset_id LEFT JOIN version v ON v.id = job.version_id
WHERE job.id = :job_id AND d.deleted_at IS NULL

-- name: fix
-- example: insert = INSERT INTO export_sample SELECT 1, 1, 1, 1, '', '', '', true, true, true WHERE false; job_id = 1; revision = 1
WITH samples AS ({insert})
UPDATE export SET revision = coalesce({revision}::bigint, dataset.revision)
FROM dataset WHERE dataset.id = export.dataset_id AND job_id = {job_id}

-- name: lock_version
SELECT revision FROM version WHERE id = :version_id FOR KEY SHARE

-- name: revision
SELECT revision FROM export WHERE job_id = :job_id

-- name: labels
SELECT * FROM (
    SELECT id, name, color, shortcut FROM label WHERE dataset_id = :dataset_id AND since <= :revision
    UNION ALL
    SELECT id, name, color, shortcut FROM label_past
    WHERE dataset_id = :dataset_id AND since <= :revision AND until > :revision
) AS every ORDER BY id

-- name: version_labels
SELECT label_id AS id, name, color, shortcut FROM version_label WHERE version_id = :version_id ORDER BY label_id

-- name: counts
SELECT state, usage, count(*) AS n FROM export_sample WHERE job_id = :job_id GROUP BY state, usage ORDER BY state, usage

-- name: set_facts
UPDATE export SET facts = :facts::text::jsonb WHERE job_id = :job_id
