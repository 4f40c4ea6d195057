ALTER TABLE sample DROP COLUMN suggestion_lowest;
ALTER TABLE sample_past DROP COLUMN suggestion_lowest;
SELECT refresh_history('sample');
DROP FUNCTION derived_state(bigint);
CREATE FUNCTION derived_state(sample bigint) RETURNS TABLE (
    label_ids bigint[], state text, suggestion_confidence double precision, suggestion_margin double precision,
    suggestion_entropy double precision, suggestion_disagreement double precision, suggestion_conflict double precision
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT a.label_ids, sample_state(a.label_ids, a.suggestions > 0),
           s.scores[1], s.scores[2], s.scores[3], s.scores[4], s.scores[5]
    FROM (SELECT coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids,
                 count(*) FILTER (WHERE NOT confirmed) AS suggestions,
                 max(coalesce(confidence, 0)) FILTER (WHERE NOT confirmed) AS surest
          FROM annotation WHERE sample_id = derived_state.sample) a
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN a.suggestions = 0 THEN NULL
            WHEN a.suggestions > 1 OR a.label_ids <> '{}' THEN suggestion_scores(derived_state.sample, a.label_ids)
            WHEN a.surest > 0 AND a.surest < 1
            THEN ARRAY[a.surest, greatest(2 * a.surest - 1, 0),
                       abs(a.surest * ln(a.surest) + (1 - a.surest) * ln(1 - a.surest)) / ln(2::float8), NULL, NULL]
            ELSE ARRAY[a.surest, a.surest, 0, NULL, NULL] END AS scores
        OFFSET 0) s
$$;
DROP INDEX annotation_suggested_by, annotation_suggested_newest;
CREATE INDEX annotation_suggested_by ON annotation (dataset_id, model_id, label_id, coalesce(confidence, 0), sample_id)
    WHERE NOT confirmed;
CREATE INDEX annotation_suggested ON annotation (dataset_id, sample_id) WHERE NOT confirmed OR model_id IS NOT NULL;
DROP TRIGGER annotation_0_suggested ON annotation;
DROP FUNCTION annotation_suggested;
ALTER TABLE annotation DROP COLUMN sample_created_at;
ALTER TABLE annotation_past DROP COLUMN sample_created_at;
SELECT refresh_history('annotation');
