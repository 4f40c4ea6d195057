-- name: images
SELECT sample.id, dataset.type AS kind, source.width, source.height
FROM selected JOIN sample USING (id) JOIN source ON source.id = source_id JOIN dataset ON dataset.id = sample.dataset_id

-- name: existing
SELECT id, sample_id, label_id, shape::text, confirmed FROM annotation WHERE id = ANY(:ids::bigint[])

-- name: removed_before
SELECT DISTINCT id, sample_id FROM annotation_past WHERE id = ANY(:ids::bigint[])

-- name: equal
-- Those that their samples have already. Grouped, not joined: it costs the same however many shapes a sample has.
SELECT max(n) AS n, coalesce(min(id) FILTER (WHERE confirmed), min(id)) AS id, bool_or(confirmed) AS confirmed
FROM (
    SELECT sample_id, label_id, shape::jsonb, n::int, NULL::bigint AS id, NULL::boolean AS confirmed
    FROM unnest(:samples::bigint[], :labels::bigint[], :shapes::text[])
        WITH ORDINALITY AS new (sample_id, label_id, shape, n)
    UNION ALL
    SELECT sample_id, label_id, shape, NULL, id, confirmed FROM annotation
    WHERE sample_id = ANY(:samples::bigint[]) AND id <> ALL(:except_ids::bigint[])
) AS every
GROUP BY sample_id, label_id, shape HAVING count(n) > 0 AND count(id) > 0

-- name: counts
SELECT sample_id, count(*) AS n FROM annotation WHERE sample_id = ANY(:samples::bigint[]) GROUP BY sample_id
