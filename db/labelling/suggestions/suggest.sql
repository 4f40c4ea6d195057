-- name: compare
-- What is known of each suggestion that is given: whether the sample has it confirmed, whether people rejected it of this
-- model, and the id and confidence of the same one that waits. Grouped, not joined: it costs the same however many shapes
-- a sample has.
SELECT max(n) AS n, bool_or(is_confirmed) AS is_confirmed, bool_or(is_rejected) AS is_rejected, max(id) AS id,
       max(confidence) AS confidence
FROM (
    SELECT sample_id, label_id, shape::jsonb, n::int, false AS is_confirmed, false AS is_rejected, NULL::bigint AS id,
           NULL::float8 AS confidence
    FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
        WITH ORDINALITY AS given (sample_id, label_id, shape, n)
    UNION ALL
    SELECT sample_id, label_id, shape, NULL, confirmed, false, CASE WHEN NOT confirmed THEN id END,
           CASE WHEN NOT confirmed THEN confidence END
    FROM annotation WHERE sample_id = ANY(:samples::bigint[]) AND (confirmed OR model_id = :model)
    UNION ALL  -- a label of a whole image is confirmed by any shape of it
    SELECT DISTINCT sample_id, label_id, NULL::jsonb, NULL::int, true, false, NULL::bigint, NULL::float8
    FROM annotation WHERE sample_id = ANY(:samples::bigint[]) AND confirmed AND shape IS NOT NULL
    UNION ALL
    SELECT sample_id, label_id, shape, NULL, false, true, NULL, NULL
    FROM verdict WHERE sample_id = ANY(:samples::bigint[]) AND model_id = :model AND outcome <> 'ACCEPTED'
) AS every
GROUP BY sample_id, label_id, shape HAVING count(n) > 0 ORDER BY n

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
