-- name: compare
-- What is known of each suggestion that is given: whether the sample has it confirmed, whether people rejected it of this
-- model, and the id and confidence of the same one that waits. A label of a whole image is confirmed by any shape of it.
-- LIMIT keeps Postgres to the indexes of samples.
SELECT given.n::int, confirmed.found IS NOT NULL AS is_confirmed, rejected.found IS NOT NULL AS is_rejected, same.id,
       same.confidence
FROM (SELECT n, sample_id, label_id, shape::jsonb AS shape
      FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
          WITH ORDINALITY AS each (sample_id, label_id, shape, n)) AS given
LEFT JOIN LATERAL (
    SELECT true AS found FROM annotation a
    WHERE a.sample_id = given.sample_id AND a.label_id + 0 = given.label_id AND a.confirmed
      AND (given.shape IS NULL OR a.shape = given.shape)
    LIMIT 1
) AS confirmed ON true
LEFT JOIN LATERAL (
    SELECT true AS found FROM verdict v
    WHERE v.sample_id = given.sample_id AND v.label_id + 0 = given.label_id AND v.model_id = :model
      AND v.outcome <> 'ACCEPTED' AND v.shape IS NOT DISTINCT FROM given.shape
    LIMIT 1
) AS rejected ON true
LEFT JOIN LATERAL (
    SELECT a.id, a.confidence FROM annotation a
    WHERE a.dataset_id = :dataset_id AND a.sample_id = given.sample_id AND a.label_id + 0 = given.label_id
      AND NOT a.confirmed AND a.model_id = :model AND a.shape IS NOT DISTINCT FROM given.shape
    LIMIT 1
) AS same ON true
ORDER BY given.n

-- name: waiting
-- What these versions of the model have suggested of the samples, and nobody has decided.
SELECT a.id, a.sample_id FROM selected JOIN annotation a ON a.sample_id = selected.id
WHERE a.dataset_id = :dataset_id AND NOT a.confirmed AND a.model_id = ANY(:models::bigint[])

-- name: delete
DELETE FROM annotation WHERE id = ANY(:ids::bigint[])

-- name: update
UPDATE annotation SET confidence = new.confidence, labeled_by = :actor, labeled_at = now(), since = :since
FROM unnest(:ids::bigint[], :confidences::float8[]) AS new (id, confidence)
WHERE annotation.id = new.id

-- name: insert
INSERT INTO annotation (dataset_id, sample_id, label_id, shape, confidence, confirmed, model_id, labeled_by, labeled_at,
                        origin, since)
SELECT :dataset_id, sample_id, label_id, shape::jsonb, confidence, false, :model, :actor, now(), 'MODEL', :since
FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[], :confidences::float8[])
    AS new (sample_id, label_id, shape, confidence)
