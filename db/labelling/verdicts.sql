-- `selected (id)` is a table of samples (LockedSamples).

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

-- name: add_agreeing
-- Of suggestions of what a sample has confirmed: the label with the same shape, or with any where the suggestion has none.
-- Sorted, not joined: a join compares each with each where two models suggest thousands of shapes of one sample.
INSERT INTO verdict (id, dataset_id, sample_id, label_id, model_id, shape, confidence, outcome, since)
SELECT id, :dataset_id, sample_id, label_id, model_id, shape, confidence, 'ACCEPTED', :since
FROM (
    WITH suggestion AS MATERIALIZED (
        SELECT a.id, a.sample_id, a.label_id, a.shape, a.model_id, a.confidence
        FROM selected JOIN annotation a ON a.sample_id = selected.id
        WHERE a.dataset_id = :dataset_id AND NOT a.confirmed AND a.model_id IS NOT NULL
    )
    SELECT every.*, bool_or(id IS NULL) OVER (PARTITION BY sample_id, label_id) AS has_label,
           bool_or(id IS NULL) OVER (PARTITION BY sample_id, label_id, shape) AS has_shape
    FROM (SELECT * FROM suggestion
          UNION ALL
          SELECT NULL, c.sample_id, c.label_id, c.shape, NULL, NULL
          FROM (SELECT DISTINCT sample_id FROM suggestion) AS suggested JOIN annotation c USING (sample_id)
          WHERE c.confirmed) AS every
) AS compared
WHERE id IS NOT NULL AND CASE WHEN shape IS NULL THEN has_label ELSE has_shape END

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
-- Where the confirmed annotation that agreed is gone: compared as above.
UPDATE verdict SET outcome = :outcome, since = :since
FROM (
    WITH accepted AS MATERIALIZED (
        SELECT v.id, v.sample_id, v.label_id, v.shape FROM selected JOIN verdict v ON v.sample_id = selected.id
        WHERE v.outcome = 'ACCEPTED'
    )
    SELECT every.*, bool_or(id IS NULL) OVER (PARTITION BY sample_id, label_id) AS has_label,
           bool_or(id IS NULL) OVER (PARTITION BY sample_id, label_id, shape) AS has_shape
    FROM (SELECT * FROM accepted
          UNION ALL
          SELECT NULL, c.sample_id, c.label_id, c.shape
          FROM (SELECT DISTINCT sample_id FROM accepted) AS judged JOIN annotation c USING (sample_id)
          WHERE c.confirmed) AS every
) AS compared
WHERE verdict.id = compared.id AND NOT CASE WHEN compared.shape IS NULL THEN has_label ELSE has_shape END

-- name: relabel
UPDATE verdict SET label_id = :after, since = :since WHERE label_id = :before
