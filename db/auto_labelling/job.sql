-- name: labels
SELECT id, name, color FROM label WHERE dataset_id = :dataset_id ORDER BY id

-- name: has_several
-- Whether any of some labelled samples has several labels.
SELECT EXISTS (
    SELECT FROM (
        SELECT label_ids FROM sample WHERE dataset_id = :dataset_id AND state = 'LABELED' ORDER BY created_at, id LIMIT 10000
    ) AS labelled WHERE cardinality(label_ids) > 1
)

-- name: shown
SELECT id, source_id FROM sample WHERE dataset_id = :dataset_id AND id = ANY(:samples::bigint[])

-- name: note_model
UPDATE auto_label SET model_id = coalesce(
    (SELECT id FROM model WHERE dataset_id = :dataset_id AND name = :name AND version = :version), model_id
) WHERE job_id = :job_id
