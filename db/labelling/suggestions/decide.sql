-- name: count
-- The suggestions that meet a condition, and the samples that have them.
-- example: condition = true
SELECT count(*) AS suggestions, count(DISTINCT a.sample_id) AS samples
FROM selected JOIN annotation a ON a.sample_id = selected.id
WHERE a.dataset_id = :dataset_id AND NOT a.confirmed AND ({condition})

-- name: of_several
-- Whether two suggestions may be of the same: unless all are of one model.
SELECT sum(c.suggestion_count) > coalesce((
    SELECT max(n) FROM (SELECT sum(s.pending) AS n FROM suggestion_count s JOIN model m ON m.id = s.model_id
                        WHERE m.dataset_id = :dataset_id GROUP BY m.id) AS of_model), 0)
FROM label JOIN label_count c ON c.label_id = label.id WHERE label.dataset_id = :dataset_id

-- name: delete
-- example: condition = true
DELETE FROM annotation a USING selected
WHERE a.sample_id = selected.id AND a.dataset_id = :dataset_id AND NOT a.confirmed AND ({condition})
