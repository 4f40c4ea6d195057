-- name: known
SELECT dataset.label_names, label.id, label.name
FROM dataset LEFT JOIN label ON label.dataset_id = dataset.id AND (label.name = ANY(:names::text[]) OR label.id = ANY(:ids::bigint[]))
WHERE dataset.id = :dataset_id
