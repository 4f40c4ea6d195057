-- What needs the extension pgvector, which a Postgres may lack: made by db/postgres/pgvector.py, not by a migration.

-- A source's bytes never change: another image at the same path is another source. So a vector belongs to it for good.
-- At most 8 kB: a row of 4,000 numbers fits into a page, and is read without a detour.
CREATE TABLE IF NOT EXISTS embedding (
    model_id bigint NOT NULL REFERENCES embedding_model (id) ON DELETE CASCADE,
    source_id bigint NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    vector halfvec NOT NULL,
    PRIMARY KEY (model_id, source_id)
);
ALTER TABLE embedding ALTER COLUMN vector SET STORAGE PLAIN;
CREATE INDEX IF NOT EXISTS embedding_source ON embedding (source_id);

-- On which side of the center each number is. Immutable, as the indexes require: a center is set once.
CREATE OR REPLACE FUNCTION embedding_bits(model bigint, vector halfvec) RETURNS bit
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 SET search_path FROM CURRENT AS $$
BEGIN
    RETURN binary_quantize(vector - (SELECT center::halfvec FROM embedding_model WHERE id = model));
END $$;

-- The model, or the dataset's oldest, and the vector that others are compared with: the given one, or that of a source.
CREATE OR REPLACE FUNCTION embedding_near(
    dataset bigint, model_name text, model_version text, source bigint, given real[], must_exist boolean
) RETURNS TABLE (model_id bigint, near halfvec) LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
    model embedding_model;
BEGIN
    SELECT * INTO model FROM embedding_model m
    WHERE m.dataset_id = dataset AND (model_name IS NULL OR m.name = model_name AND m.version = model_version)
    ORDER BY m.id LIMIT 1;
    IF NOT FOUND THEN
        IF must_exist OR model_name IS NOT NULL THEN
            RAISE EXCEPTION 'no such model' USING ERRCODE = 'LG421';
        END IF;
        RETURN;
    END IF;
    IF given IS NULL THEN
        RETURN QUERY SELECT e.model_id, e.vector FROM embedding e WHERE e.model_id = model.id AND e.source_id = source;
        IF must_exist AND NOT FOUND THEN
            RAISE EXCEPTION 'no embedding' USING ERRCODE = CASE WHEN source IS NULL THEN 'LG424' ELSE 'LG423' END;
        END IF;
        RETURN;
    END IF;
    IF cardinality(given) <> model.dimension THEN
        RAISE EXCEPTION 'wrong dimension' USING ERRCODE = 'LG422', DETAIL = model.dimension;
    END IF;
    RETURN QUERY SELECT model.id, l2_normalize(given::vector)::halfvec;
END $$;

-- What a model's index is of: short vectors themselves; of long ones a bit for each number, whose index is a tenth of
-- the size, and nearly as good as there are many.
CREATE OR REPLACE FUNCTION embedding_index(
    dimension integer, OUT expression text, OUT operator_class text, OUT distance text
) LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN dimension <= 512 THEN format('(vector::halfvec(%s))', dimension)
                ELSE format('(embedding_bits(model_id, vector)::bit(%s))', dimension) END,
        CASE WHEN dimension <= 512 THEN 'halfvec_cosine_ops' ELSE 'bit_hamming_ops' END,
        CASE WHEN dimension <= 512 THEN '<=> $1' ELSE '<~> embedding_bits($2, $1)' END
$$;

-- How many candidates are compared with a vector for so many rows: bits alone say less of which is the nearest.
CREATE OR REPLACE FUNCTION embedding_breadth(near halfvec, amount integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(CASE WHEN vector_dims(near) > 512 THEN 400 END, 2 * amount + 8)
$$;

-- Sources that are likely the nearest, from the model's index; none where it has no index. Their order says little.
-- Round 0 gives `amount`, each further one four times as many others as the one before.
DROP FUNCTION IF EXISTS embedding_candidates;
CREATE FUNCTION embedding_candidates(model bigint, near halfvec, amount integer, round integer)
    RETURNS TABLE (source_id bigint) LANGUAGE plpgsql VOLATILE ROWS 100 AS $$
DECLARE
    index_name text := 'embedding_of_' || model;
    of_index record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(index_name) AND indisvalid) THEN
        RETURN;
    END IF;
    of_index := embedding_index(vector_dims(near));
    PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true),
        set_config('hnsw.ef_search', least(greatest(amount, 100), 1000)::text, true),
        set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
    RETURN QUERY EXECUTE format(
        'SELECT source_id FROM embedding WHERE model_id = %s ORDER BY %s %s LIMIT %s OFFSET %s',
        model, of_index.expression, of_index.distance, amount * 4 ^ round, amount * (4 ^ round - 1) / 3
    ) USING near, model;
END $$;
