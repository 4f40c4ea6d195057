-- name: label_counts
SELECT label.name, label_count.sample_count AS samples
FROM label JOIN label_count ON label_count.label_id = label.id
WHERE label.dataset_id = :dataset_id ORDER BY label.id
