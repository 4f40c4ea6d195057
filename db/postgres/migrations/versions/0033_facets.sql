-- What facets group samples by, in two numbers that are made with each row. An index that answers how many samples a
-- filter finds has them too, so that their facets are read from it alone.

-- The labels, which are ascending: up to three are the number itself, more are a hash, which is negative. In plpgsql, as
-- functions in SQL are parsed again for every statement that writes a sample.
CREATE FUNCTION labels_key(label_ids bigint[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN cardinality(label_ids) <= 3 AND coalesce(greatest(label_ids[1], label_ids[2], label_ids[3]), 0) < 2097152
        THEN coalesce(label_ids[1], 0) | (coalesce(label_ids[2], 0) << 21) | (coalesce(label_ids[3], 0) << 42)
        ELSE hash_array_extended(label_ids, 0) | (1::bigint << 63) END;
END $$;
CREATE FUNCTION labels_in(key bigint) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_remove(ARRAY[key & 2097151, (key >> 21) & 2097151, key >> 42], 0)
$$;

-- Everything else, and the directory that the path is in: a hash.
CREATE FUNCTION facets_key(path text, state text, labeled_by text, hard boolean, usage text) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN hashtextextended(left(path, -strpos(reverse('/' || path), '/')), hashtextextended(
        coalesce(labeled_by, ''), hashtextextended(state || hard::text || coalesce(usage, ''), 0)));
END $$;

-- Both are made now for every row, under an exclusive lock of the table. They are never null, but not declared so: copies
-- of the table that undo makes do not have them.
DROP INDEX sample_newest, sample_added, sample_since, sample_state, sample_labeled_by, sample_hard;
ALTER TABLE sample
    ADD COLUMN labels_key bigint GENERATED ALWAYS AS (labels_key(label_ids)) STORED,
    ADD COLUMN facets_key bigint GENERATED ALWAYS AS (facets_key(path, state, labeled_by, hard, usage)) STORED;
SELECT refresh_history('sample');
CREATE INDEX sample_newest ON sample (dataset_id, created_at, id) INCLUDE (labels_key, facets_key, hard);
CREATE INDEX sample_added ON sample (dataset_id, added_at, id) INCLUDE (labels_key, facets_key);
CREATE INDEX sample_since ON sample (dataset_id, since, id) INCLUDE (labels_key, facets_key);
CREATE INDEX sample_state ON sample (dataset_id, state, created_at, id) INCLUDE (labels_key, facets_key);
CREATE INDEX sample_labeled_by ON sample (dataset_id, labeled_by, created_at, id) INCLUDE (labels_key, facets_key)
    WHERE labeled_by IS NOT NULL;
CREATE INDEX sample_hard ON sample (dataset_id, created_at, id) INCLUDE (labels_key, facets_key) WHERE hard;
