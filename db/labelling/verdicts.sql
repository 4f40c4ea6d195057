-- `selected (id)` is a table of samples (LockedSamples). `label_id + 0` keeps Postgres to the index of samples.

-- name: flags
-- Whether there are suggestions of these labels, and whether the dataset has a model.
SELECT EXISTS (SELECT FROM label_count WHERE label_id = ANY(:labels::bigint[]) AND suggestion_count > 0) AS has_pending,
       has_models(:dataset_id) AS has_models

-- name: add
-- example: condition = true
INSERT INTO verdict (id, dataset_id, sample_id, label_id, model_id, shape, confidence, outcome, since)
SELECT a.id, a.dataset_id, a.sample_id, a.label_id, a.model_id, a.shape, a.confidence, :outcome, :since
FROM selected JOIN annotation a ON a.sample_id = selected.id
WHERE a.dataset_id = :dataset_id AND a.model_id IS NOT NULL AND ({condition})

-- name: add_for
-- Of annotations that are named by their ids.
INSERT INTO verdict (id, dataset_id, sample_id, label_id, model_id, shape, confidence, outcome, since)
SELECT id, dataset_id, sample_id, label_id, model_id, shape, confidence, :outcome, :since
FROM annotation WHERE id = ANY(:ids::bigint[]) AND model_id IS NOT NULL AND (confirmed OR NOT :only_confirmed)

-- name: delete_agreeing
-- The suggestions that have just become verdicts.
DELETE FROM annotation USING selected JOIN verdict v ON v.sample_id = selected.id
WHERE v.outcome = 'ACCEPTED' AND v.since = :since AND annotation.id = v.id AND NOT annotation.confirmed

-- name: take_back
-- What was confirmed elsewhere, and is there no more.
UPDATE verdict SET outcome = :outcome, since = :since FROM selected
WHERE verdict.sample_id = selected.id AND verdict.outcome = 'ACCEPTED' AND NOT EXISTS (
    SELECT FROM annotation c WHERE c.sample_id = verdict.sample_id AND c.label_id + 0 = verdict.label_id AND c.confirmed
    AND (verdict.shape IS NULL OR c.shape = verdict.shape))

-- name: relabel
UPDATE verdict SET label_id = :after, since = :since WHERE label_id = :before
