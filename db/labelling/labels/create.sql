-- name: taken
SELECT name, shortcut FROM label
WHERE dataset_id = :dataset_id AND (name = ANY(:names::text[]) OR shortcut = ANY(:shortcuts::text[]))

-- name: insert
INSERT INTO label (dataset_id, name, color, shortcut, since)
SELECT :dataset_id, name, color, shortcut, :since
FROM unnest(:names::text[], :colors::text[], :shortcuts::text[]) WITH ORDINALITY AS new (name, color, shortcut, n)
ORDER BY n
RETURNING id
