-- When the sample of a suggestion was created, which never changes: the suggestions of a label are in the order of lists in
-- an index. Whoever inserts a suggestion need not know it.
ALTER TABLE annotation ADD COLUMN sample_created_at timestamptz;
SELECT refresh_history('annotation');
CREATE FUNCTION annotation_suggested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sample_created_at := (SELECT created_at FROM sample WHERE id = NEW.sample_id);
    RETURN NEW;
END $$;
CREATE TRIGGER annotation_0_suggested BEFORE INSERT ON annotation FOR EACH ROW
    WHEN (NOT NEW.confirmed AND NEW.sample_created_at IS NULL) EXECUTE FUNCTION annotation_suggested();
UPDATE annotation SET sample_created_at = sample.created_at
FROM sample WHERE sample.id = annotation.sample_id AND NOT annotation.confirmed;
UPDATE annotation_past SET sample_created_at = sample.created_at
FROM (SELECT id, created_at FROM sample UNION SELECT id, created_at FROM sample_past) AS sample
WHERE sample.id = annotation_past.sample_id AND NOT annotation_past.confirmed;
ALTER TABLE annotation
    ADD CONSTRAINT annotation_sample_created_check CHECK (confirmed OR sample_created_at IS NOT NULL);

-- Confidences are compared in the index alone. The other index was read by nothing but the check of a dataset.
DROP INDEX annotation_suggested_by, annotation_suggested;
CREATE INDEX annotation_suggested_newest ON annotation (dataset_id, label_id, sample_created_at, sample_id)
    WHERE NOT confirmed;
CREATE INDEX annotation_suggested_by
    ON annotation (dataset_id, model_id, label_id, coalesce(confidence, 0), sample_id) INCLUDE (confidence)
    WHERE NOT confirmed;

-- The lowest confidence of a sample's suggestions; the highest is `suggestion_confidence`.
ALTER TABLE sample ADD COLUMN suggestion_lowest double precision;
SELECT refresh_history('sample');
DROP FUNCTION derived_state(bigint);
CREATE FUNCTION derived_state(sample bigint) RETURNS TABLE (
    label_ids bigint[], state text, suggestion_confidence double precision, suggestion_margin double precision,
    suggestion_entropy double precision, suggestion_disagreement double precision, suggestion_conflict double precision,
    suggestion_lowest double precision
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT a.label_ids, sample_state(a.label_ids, a.suggestions > 0),
           s.scores[1], s.scores[2], s.scores[3], s.scores[4], s.scores[5], a.lowest
    FROM (SELECT coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids,
                 count(*) FILTER (WHERE NOT confirmed) AS suggestions,
                 max(coalesce(confidence, 0)) FILTER (WHERE NOT confirmed) AS surest,
                 min(coalesce(confidence, 0)) FILTER (WHERE NOT confirmed) AS lowest
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

UPDATE sample SET suggestion_lowest = s.lowest
FROM (SELECT sample_id, min(coalesce(confidence, 0)) AS lowest FROM annotation WHERE NOT confirmed GROUP BY sample_id) s
WHERE sample.id = s.sample_id;
UPDATE sample_past p SET suggestion_lowest = s.lowest
FROM (
    SELECT was.id, was.since, min(coalesce(a.confidence, 0)) AS lowest
    FROM (SELECT sample_id, confidence, since, 9223372036854775807 AS until FROM annotation WHERE NOT confirmed
          UNION ALL
          SELECT sample_id, confidence, since, until FROM annotation_past WHERE NOT confirmed) a
    JOIN sample_past was ON was.id = a.sample_id AND a.since <= was.since AND a.until > was.since
    GROUP BY was.id, was.since
) s
WHERE p.id = s.id AND p.since = s.since;
