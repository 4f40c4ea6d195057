-- name: fill
-- Vectors around a center for each hundred samples, as those of images of the same things are.
WITH model AS (
    INSERT INTO embedding_model (dataset_id, name, version, dimension, embeddings, changed_at)
    SELECT id, 'bench', '1', :dimension::int, :rows::bigint, now() - interval '1 day' FROM dataset WHERE name = 'bench'
    RETURNING id
), center AS MATERIALIZED (
    SELECT n, (SELECT array_agg(random()) FROM generate_series(1, :dimension::int) WHERE c.n >= 0)::real[]::vector AS middle
    FROM generate_series(0, :rows::int / 100) AS c (n)
)
INSERT INTO embedding (model_id, source_id, vector)
SELECT model.id, source.id, l2_normalize(middle + (
    SELECT array_agg((random() - 0.5) * 1.4) FROM generate_series(1, :dimension::int) WHERE source.id >= 0
)::real[]::vector)::halfvec
FROM model, source JOIN center ON center.n = (hashint8(source.id) & 2147483647) % (:rows::int / 100 + 1)

-- name: exact
SELECT ARRAY(
    SELECT 'Sample:' || sample.id FROM embedding JOIN sample USING (source_id)
    WHERE {condition} ORDER BY vector <=> (SELECT vector FROM embedding JOIN sample USING (source_id)
                                           WHERE sample.id = :sample_id), sample.id LIMIT 10
)

-- name: by_hand
-- The same with the index, as somebody would write it who knows the filter.
SELECT json_agg(json_build_object('id', id, 'path', path, 'distance', far))::text
FROM (
    SELECT sample.id, path, vector::halfvec({dimension}) <=> (
        SELECT vector FROM embedding JOIN sample USING (source_id) WHERE sample.id = :sample_id) AS far
    FROM embedding JOIN sample USING (source_id) WHERE model_id = {model} AND {condition} ORDER BY far LIMIT 10
) AS best
