CREATE OR REPLACE FUNCTION suggestion_scores(sample bigint, label_ids bigint[]) RETURNS double precision[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT suggestion_scores(array_agg(model_id), array_agg(label_id), array_agg(confidence),
                                 array_agg(shape IS NULL), suggestion_scores.label_ids)
        FROM annotation WHERE sample_id = suggestion_scores.sample AND NOT confirmed);
END $$;
CREATE FUNCTION labels_in(key bigint) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_remove(ARRAY[key & 2097151, (key >> 21) & 2097151, key >> 42], 0)
$$;
