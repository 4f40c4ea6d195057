-- name: taken
SELECT name, shortcut FROM label
WHERE dataset_id = :dataset_id AND (name = ANY(:names::text[]) OR shortcut = ANY(:shortcuts::text[]))

-- name: insert
INSERT INTO label (dataset_id, name, color, shortcut, since)
SELECT :dataset_id, name, color, shortcut, :since
FROM unnest(:names::text[], :colors::text[], :shortcuts::text[]) WITH ORDINALITY AS new (name, color, shortcut, n)
ORDER BY n
RETURNING id

-- name: lock_used
-- One row of nulls where there is none of the labels: the rule is given in any case.
WITH used AS MATERIALIZED (
    SELECT id, name FROM label WHERE dataset_id = :dataset_id AND (name = ANY(:names::text[]) OR id = ANY(:ids::bigint[]))
    ORDER BY id FOR KEY SHARE
)
SELECT dataset.label_names, used.id, used.name FROM dataset LEFT JOIN used ON true WHERE dataset.id = :dataset_id
