-- `label_id + 0` keeps Postgres to the samples' index. By the labels' index it would read every annotation of a label
-- for each sample, whenever its statistics are older than the label: 72 s instead of 0.1 s for 50,000 samples.
-- `selected (id)` is a table of the samples (LockedSamples). Arrays that a statement joins come as subqueries, as its ids.

-- name: confirm
-- The suggestions that meet a condition; of those of several models of the same, one. A suggestion of no model of the
-- dataset is confirmed rather than one of a model.
-- example: condition = true
UPDATE annotation SET confirmed = true, labeled_by = :actor, labeled_at = now(), origin = 'MANUAL', since = :since
FROM (
    SELECT a.id, a.model_id, {condition} AS matches, bool_or({condition}) OVER (same) AS any_matches,
           row_number() OVER (same ORDER BY a.model_id IS NOT NULL, NOT ({condition}), a.confidence DESC, a.id) AS n
    FROM selected JOIN annotation a ON a.sample_id = selected.id
    WHERE a.dataset_id = :dataset_id AND NOT a.confirmed
    WINDOW same AS (PARTITION BY a.sample_id, a.label_id, a.shape)
) AS suggestion
WHERE annotation.id = suggestion.id AND (n = 1 AND any_matches OR matches AND suggestion.model_id IS NULL)

-- name: confirm_every
-- The same, where no two suggestions are of the same.
-- example: condition = true
UPDATE annotation a SET confirmed = true, labeled_by = :actor, labeled_at = now(), origin = 'MANUAL', since = :since
FROM selected
WHERE a.sample_id = selected.id AND a.dataset_id = :dataset_id AND NOT a.confirmed AND ({condition})

-- name: add_labels
-- EXCEPT for each sample, which no plan turns into a join with all annotations, for each part of a large change anew.
INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since)
SELECT :dataset_id, selected.id, added.id, :actor, now(), 'MANUAL', :since
FROM selected CROSS JOIN LATERAL (
    SELECT unnest((SELECT :labels::bigint[])) AS id
    EXCEPT
    SELECT label_id FROM annotation WHERE sample_id = selected.id
) AS added
ORDER BY selected.id, added.id

-- name: remove_labels
DELETE FROM annotation USING selected WHERE sample_id = selected.id AND label_id + 0 = ANY(:labels::bigint[])

-- name: remove_other_labels
DELETE FROM annotation USING selected WHERE sample_id = selected.id AND label_id <> ALL(:labels::bigint[])

-- name: remove_duplicates
-- A whole image has a label once. Where a sample has both labels, one goes: a suggestion rather than a confirmed one.
-- example: duplicate = true
DELETE FROM annotation a USING selected WHERE a.sample_id = selected.id AND ({duplicate})

-- name: replace_label
UPDATE annotation SET
    label_id = :after, since = :since,
    labeled_by = coalesce(:actor::text, labeled_by),
    labeled_at = CASE WHEN :actor::text IS NULL THEN labeled_at ELSE now() END,
    origin = CASE WHEN :actor::text IS NULL THEN origin ELSE 'MANUAL' END,
    confidence = CASE WHEN :actor::text IS NULL THEN confidence END,
    model_id = CASE WHEN :actor::text IS NULL THEN model_id END
FROM selected
WHERE sample_id = selected.id AND label_id + 0 = :before
