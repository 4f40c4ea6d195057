-- FILTER, not WHERE: by the predicate of an index of suggestions Postgres would expect that it has none, as long as there
-- are no statistics of them, and read all of it for each sample.
CREATE OR REPLACE FUNCTION suggestion_scores(sample bigint, label_ids bigint[]) RETURNS double precision[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT suggestion_scores(array_agg(model_id) FILTER (WHERE NOT confirmed),
                                 array_agg(label_id) FILTER (WHERE NOT confirmed),
                                 array_agg(confidence) FILTER (WHERE NOT confirmed),
                                 array_agg(shape IS NULL) FILTER (WHERE NOT confirmed), suggestion_scores.label_ids)
        FROM annotation WHERE sample_id = suggestion_scores.sample);
END $$;

-- Nothing reads it.
DROP FUNCTION labels_in;
