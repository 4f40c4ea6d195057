-- name: images
SELECT sample.id, dataset.type AS kind, source.width, source.height, (SELECT has_models(:dataset_id)) AS has_models
FROM selected JOIN sample USING (id) JOIN source ON source.id = source_id JOIN dataset ON dataset.id = sample.dataset_id

-- name: existing
SELECT id, sample_id, label_id, shape::text, confirmed, model_id IS NOT NULL AS of_model
FROM annotation WHERE id = ANY(:ids::bigint[])

-- name: removed_before
SELECT DISTINCT id, sample_id FROM annotation_past WHERE id = ANY(:ids::bigint[])

-- name: equal
-- Those that their samples have already; `agrees`: a model's suggestion alone. Grouped, not joined: it costs the same
-- however many shapes a sample has.
SELECT max(n) AS n, bool_or(confirmed) AS confirmed,
       coalesce(min(id) FILTER (WHERE confirmed), min(id) FILTER (WHERE model_id IS NULL), min(id)) AS id,
       bool_and(NOT confirmed AND model_id IS NOT NULL) FILTER (WHERE id IS NOT NULL) AS agrees
FROM (
    SELECT sample_id, label_id, shape::jsonb, n::int, NULL::bigint AS id, NULL::boolean AS confirmed,
           NULL::bigint AS model_id
    FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
        WITH ORDINALITY AS new (sample_id, label_id, shape, n)
    UNION ALL
    SELECT sample_id, label_id, shape, NULL, id, confirmed, model_id FROM annotation
    WHERE sample_id = ANY(:samples::bigint[]) AND id <> ALL(:except_ids::bigint[])
) AS every
GROUP BY sample_id, label_id, shape HAVING count(n) > 0 AND count(id) > 0

-- name: counts
SELECT sample_id, count(*) AS n FROM annotation WHERE sample_id = ANY(:samples::bigint[]) GROUP BY sample_id

-- name: insert
INSERT INTO annotation (dataset_id, sample_id, label_id, shape, labeled_by, labeled_at, origin, since)
SELECT :dataset_id, sample_id, label_id, shape::jsonb, :actor, now(), 'MANUAL', :since
FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[]) AS new (sample_id, label_id, shape)

-- name: hide_changed
-- Two labels of whole images may be exchanged, and the unique index does not wait for the end of a statement: with a
-- shape, an annotation is not in it.
UPDATE annotation SET shape = '{}', since = :since
FROM unnest(:ids::bigint[], :labels::bigint[], :shapes::text[]) AS new (id, label_id, shape)
WHERE annotation.id = new.id AND annotation.shape IS NULL
  AND (annotation.label_id, annotation.shape) IS DISTINCT FROM (new.label_id, new.shape::jsonb)

-- name: update
UPDATE annotation SET
    label_id = new.label_id, shape = new.shape::jsonb, confirmed = true, labeled_by = :actor, labeled_at = now(),
    origin = 'MANUAL', since = :since,
    confidence = CASE WHEN (annotation.label_id, annotation.shape) IS NOT DISTINCT FROM (new.label_id, new.shape::jsonb)
                      THEN confidence END,
    model_id = CASE WHEN (annotation.label_id, annotation.shape) IS NOT DISTINCT FROM (new.label_id, new.shape::jsonb)
                    THEN model_id END
FROM unnest(:ids::bigint[], :labels::bigint[], :shapes::text[]) AS new (id, label_id, shape)
WHERE annotation.id = new.id

-- name: delete
DELETE FROM annotation WHERE id = ANY(:ids::bigint[])
