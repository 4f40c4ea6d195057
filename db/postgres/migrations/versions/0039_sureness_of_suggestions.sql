-- How sure models are of a sample, which lists are ordered and filtered by. All are null without suggestions, so that
-- samples that nobody suggests anything for have no entry in the indexes. What the numbers mean: suggestion_scores.
ALTER TABLE sample
    ADD COLUMN suggestion_confidence double precision,
    ADD COLUMN suggestion_margin double precision,
    ADD COLUMN suggestion_entropy double precision,
    ADD COLUMN suggestion_disagreement double precision,
    ADD COLUMN suggestion_conflict double precision;
SELECT refresh_history('sample');

-- Of the suggestions of one sample: the model of each, its label, its confidence (0 where there is none), and whether it
-- is of the whole image. `label_ids`: the confirmed labels. In this order:
-- confidence: the highest.
-- margin: between the two surest labels that a model suggests for the whole image; between a label and its absence,
--     at least 0, where the model suggests only one, and for each shape. The least of these.
-- entropy: in bits, of the labels that a model suggests for the whole image, and of the rest, which is what they lack of
--     1; of a label and its absence, for each shape. The highest of these. Confidences that are more than 1 together are
--     divided by their sum.
-- disagreement: between models that suggest labels for the whole image. Each votes for its surest label, with its
--     confidence: 1 less the share of the votes for the label with most. Null where there are not two such models.
-- conflict: the highest confidence of a label that the sample, which has labels, has not. Null where there is none.
-- Sums are in an order of their own, so that the same suggestions always give the same numbers.
CREATE FUNCTION suggestion_scores(
    models bigint[], labels bigint[], confidences double precision[], whole boolean[], label_ids bigint[]
) RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT ARRAY[
            max(surest),
            min(CASE WHEN second IS NULL THEN greatest(2 * surest - 1, 0) ELSE surest - second END),
            max(abs(terms / greatest(total, 1) - ln(greatest(total, 1)) * total / greatest(total, 1)
                    + CASE WHEN total < 1 THEN (1 - total) * ln(1 - total) ELSE 0 END) / ln(2::float8)),
            CASE WHEN count(*) FILTER (WHERE is_whole) > 1
                 THEN 1 - coalesce(max(votes) FILTER (WHERE is_whole)
                                   / nullif(sum(surest ORDER BY surest) FILTER (WHERE is_whole), 0), 1) END,
            max(conflict)]
        FROM (
            SELECT answer.*, sum(surest) OVER (PARTITION BY is_whole, label ORDER BY surest, model
                                               ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS votes
            FROM (
                SELECT model, is_whole,
                       max(confidence) AS surest,
                       (array_agg(confidence ORDER BY confidence DESC))[2] AS second,
                       (array_agg(label ORDER BY confidence DESC, label))[1] AS label,
                       sum(confidence ORDER BY confidence) AS total,
                       sum(CASE WHEN confidence > 0 THEN confidence * ln(confidence) ELSE 0 END ORDER BY confidence)
                           AS terms,
                       max(confidence) FILTER (WHERE label_ids <> '{}' AND label <> ALL (label_ids)) AS conflict
                FROM (SELECT coalesce(s.model, 0) AS model, s.label, coalesce(s.confidence, 0) AS confidence, s.is_whole,
                             CASE WHEN s.is_whole THEN 0 ELSE s.n END AS n
                      FROM unnest(models, labels, confidences, whole)
                           WITH ORDINALITY AS s (model, label, confidence, is_whole, n)) suggestion
                GROUP BY model, is_whole, n
            ) answer
        ) counted);
END $$;

CREATE FUNCTION suggestion_scores(sample bigint, label_ids bigint[]) RETURNS double precision[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT suggestion_scores(array_agg(model_id), array_agg(label_id), array_agg(confidence),
                                 array_agg(shape IS NULL), suggestion_scores.label_ids)
        FROM annotation WHERE sample_id = suggestion_scores.sample AND NOT confirmed);
END $$;

-- As before; and how sure models are, where they suggest anything. Of a sample with one suggestion and no labels, which
-- most are, this is known from the confidence alone. OFFSET: it is made once, whoever reads it how often.
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

-- Suggestions that there are already, also in versions.
UPDATE sample SET suggestion_confidence = d.suggestion_confidence, suggestion_margin = d.suggestion_margin,
    suggestion_entropy = d.suggestion_entropy, suggestion_disagreement = d.suggestion_disagreement,
    suggestion_conflict = d.suggestion_conflict
FROM (SELECT DISTINCT sample_id FROM annotation WHERE NOT confirmed) suggested
CROSS JOIN LATERAL derived_state(suggested.sample_id) d
WHERE sample.id = suggested.sample_id;

UPDATE sample_past p SET suggestion_confidence = s.scores[1], suggestion_margin = s.scores[2],
    suggestion_entropy = s.scores[3], suggestion_disagreement = s.scores[4], suggestion_conflict = s.scores[5]
FROM (
    SELECT was.id, was.since, suggestion_scores(array_agg(a.model_id), array_agg(a.label_id), array_agg(a.confidence),
                                                array_agg(a.shape IS NULL), was.label_ids) AS scores
    FROM (SELECT sample_id, label_id, model_id, confidence, shape, since, 9223372036854775807 AS until
          FROM annotation WHERE NOT confirmed
          UNION ALL
          SELECT sample_id, label_id, model_id, confidence, shape, since, until
          FROM annotation_past WHERE NOT confirmed) a
    JOIN sample_past was ON was.id = a.sample_id AND a.since <= was.since AND a.until > was.since
    GROUP BY was.id, was.since, was.label_ids
) s
WHERE p.id = s.id AND p.since = s.since;

CREATE INDEX sample_suggestion_confidence ON sample (dataset_id, suggestion_confidence, created_at, id)
    WHERE suggestion_confidence IS NOT NULL;
CREATE INDEX sample_suggestion_margin ON sample (dataset_id, suggestion_margin, created_at, id)
    WHERE suggestion_margin IS NOT NULL;
CREATE INDEX sample_suggestion_entropy ON sample (dataset_id, suggestion_entropy, created_at, id)
    WHERE suggestion_entropy IS NOT NULL;
CREATE INDEX sample_suggestion_disagreement ON sample (dataset_id, suggestion_disagreement, created_at, id)
    WHERE suggestion_disagreement IS NOT NULL;
CREATE INDEX sample_suggestion_conflict ON sample (dataset_id, suggestion_conflict) WHERE suggestion_conflict IS NOT NULL;
CREATE INDEX sample_past_suggestion_confidence
    ON sample_past_published (dataset_id, suggestion_confidence, created_at, id, since, until)
    WHERE suggestion_confidence IS NOT NULL;
CREATE INDEX sample_past_suggestion_margin
    ON sample_past_published (dataset_id, suggestion_margin, created_at, id, since, until)
    WHERE suggestion_margin IS NOT NULL;
CREATE INDEX sample_past_suggestion_entropy
    ON sample_past_published (dataset_id, suggestion_entropy, created_at, id, since, until)
    WHERE suggestion_entropy IS NOT NULL;
CREATE INDEX sample_past_suggestion_disagreement
    ON sample_past_published (dataset_id, suggestion_disagreement, created_at, id, since, until)
    WHERE suggestion_disagreement IS NOT NULL;
CREATE INDEX annotation_suggested_by ON annotation (dataset_id, model_id, label_id, coalesce(confidence, 0), sample_id)
    WHERE NOT confirmed;

-- Nearly all annotations of models wait for people, and labels are suggested otherwise than they are confirmed.
CREATE STATISTICS annotation_models (mcv) ON confirmed, model_id FROM annotation;
CREATE STATISTICS annotation_labels (mcv) ON confirmed, label_id FROM annotation;

-- The ids of models that a filter gives by name and version; and the samples with suggestions such as a filter gives,
-- NULL if there are more than `most`. As the ids of labels, they are known before a plan is made: the statistics of
-- Postgres know neither rare models nor that all suggestions of a label are decided. EXECUTE: planned for its values.
CREATE FUNCTION models_named(dataset bigint, names text[], versions text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT coalesce(array_agg(m.id), '{}')
            FROM unnest(names, versions) AS named (name, version)
            JOIN model m ON m.dataset_id = models_named.dataset AND m.name = named.name AND m.version = named.version);
END $$;
CREATE FUNCTION samples_suggested(
    dataset bigint, models bigint[], labels bigint[], lowest double precision, highest double precision, most bigint
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    found bigint[];
BEGIN
    EXECUTE 'SELECT ARRAY(SELECT sample_id FROM annotation WHERE dataset_id = $1 AND NOT confirmed'
        || CASE WHEN models IS NOT NULL THEN ' AND model_id = ANY ($2)' ELSE '' END
        || CASE WHEN labels IS NOT NULL THEN ' AND label_id = ANY ($3)' ELSE '' END
        || ' AND coalesce(confidence, 0) BETWEEN $4 AND $5 LIMIT $6)'
    INTO found USING dataset, models, labels, coalesce(lowest, 0), coalesce(highest, 1), most + 1;
    RETURN CASE WHEN cardinality(found) <= most THEN found END;
END $$;
