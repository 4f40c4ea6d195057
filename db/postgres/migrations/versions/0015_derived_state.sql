-- What a sample's row says because of its annotations, stated once: for all that write it, and for the check.

CREATE FUNCTION sample_state(label_ids bigint[], suggested boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN label_ids <> '{}' THEN 'LABELED' WHEN suggested THEN 'PENDING' ELSE 'UNLABELED' END
$$;

CREATE FUNCTION derived_state(sample bigint) RETURNS TABLE (label_ids bigint[], state text)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT a.label_ids, sample_state(a.label_ids, a.suggested)
    FROM (SELECT coalesce(array_agg(DISTINCT label_id ORDER BY label_id) FILTER (WHERE confirmed), '{}') AS label_ids,
                 bool_or(NOT confirmed) AS suggested
          FROM annotation WHERE sample_id = derived_state.sample) a
$$;
