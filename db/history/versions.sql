-- name: publish
-- The name may be taken: then nothing is made. Labels and counts are those of the statement's one snapshot.
WITH made AS (
    INSERT INTO version
        (dataset_id, name, description, revision, parent_id, status, is_split, created_by, total, labeled, pending)
    SELECT id, :name, :description, revision, :parent_id, 'READY', :is_split, :by, total, labeled, pending
    FROM dataset WHERE id = :dataset_id AND total > 0
    ON CONFLICT (dataset_id, name) DO NOTHING
    RETURNING id, dataset_id, revision
), labels AS (
    INSERT INTO version_label
        (version_id, label_id, dataset_id, name, color, shortcut, sample_count, annotation_count,
         suggestion_count)
    SELECT made.id, label.id, label.dataset_id, label.name, label.color, label.shortcut, c.sample_count,
           c.annotation_count, c.suggestion_count
    FROM made JOIN label ON label.dataset_id = made.dataset_id JOIN label_count c ON c.label_id = label.id
)
SELECT id, revision FROM made

-- name: default_names
SELECT name FROM version WHERE dataset_id = :dataset_id AND name ~ '^V[0-9]+$'

-- name: is_empty
SELECT total = 0 FROM dataset WHERE id = :dataset_id

-- name: lock_base
-- The update changes nothing: it locks the row, and returns it.
INSERT INTO base (dataset_id) VALUES (:dataset_id)
ON CONFLICT (dataset_id) DO UPDATE SET dataset_id = excluded.dataset_id
RETURNING dataset_id, version_id, revision, named

-- name: set_base
UPDATE base SET version_id = :version_id, revision = :revision, named = :named WHERE dataset_id = :dataset_id
