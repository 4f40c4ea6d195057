DROP FUNCTION samples_suggested, models_named;
DROP STATISTICS annotation_models, annotation_labels;
DROP INDEX annotation_suggested_by;
DROP FUNCTION derived_state(bigint);
DROP FUNCTION suggestion_scores(bigint, bigint[]);
DROP FUNCTION suggestion_scores(bigint[], bigint[], double precision[], boolean[], bigint[]);
ALTER TABLE sample
    DROP COLUMN suggestion_confidence,  -- and the indexes
    DROP COLUMN suggestion_margin,
    DROP COLUMN suggestion_entropy,
    DROP COLUMN suggestion_disagreement,
    DROP COLUMN suggestion_conflict;
ALTER TABLE sample_past
    DROP COLUMN suggestion_confidence,
    DROP COLUMN suggestion_margin,
    DROP COLUMN suggestion_entropy,
    DROP COLUMN suggestion_disagreement,
    DROP COLUMN suggestion_conflict;
SELECT refresh_history('sample');
CREATE FUNCTION derived_state(sample bigint) RETURNS TABLE (label_ids bigint[], state text)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT a.label_ids, sample_state(a.label_ids, a.suggested)
    FROM (SELECT coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids,
                 bool_or(NOT confirmed) AS suggested
          FROM annotation WHERE sample_id = derived_state.sample) a
$$;
